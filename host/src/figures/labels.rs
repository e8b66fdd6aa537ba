//! Labels beside the ends of lines, pushed apart where they would overlap.

/// Moves positions apart to at least `gap`, as little as may be, within `min..=max` where there
/// is room; their order stays.
pub fn apart(wanted: &[f64], gap: f64, min: f64, max: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]).then(a.cmp(&b)));
    // Groups of touching labels, each (members, centre).
    let mut groups: Vec<(Vec<usize>, f64)> = Vec::new();
    for index in order {
        let mut group = (vec![index], place(wanted, &[index], gap, min, max));
        while let Some((members, centre)) = groups.last() {
            let half = |count: usize| (count as f64 - 1.0) * gap / 2.0;
            if centre + half(members.len()) + gap <= group.1 - half(group.0.len()) + 1e-9 {
                break;
            }
            let mut merged = members.clone();
            merged.extend(&group.0);
            groups.pop();
            group.1 = place(wanted, &merged, gap, min, max);
            group.0 = merged;
        }
        groups.push(group);
    }
    let mut placed = vec![0.0; wanted.len()];
    for (members, centre) in groups {
        let first = centre - (members.len() as f64 - 1.0) * gap / 2.0;
        for (k, member) in members.into_iter().enumerate() {
            placed[member] = first + k as f64 * gap;
        }
    }
    placed
}

/// Centre of a group: the mean of what its members want, kept inside.
fn place(wanted: &[f64], members: &[usize], gap: f64, min: f64, max: f64) -> f64 {
    let half = (members.len() as f64 - 1.0) * gap / 2.0;
    let mean = members.iter().map(|&member| wanted[member]).sum::<f64>() / members.len() as f64;
    mean.min(max - half).max(min + half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_their_distance() {
        assert_eq!(apart(&[10.0, 50.0], 12.0, 0.0, 100.0), [10.0, 50.0]);
        assert_eq!(apart(&[50.0, 50.0], 12.0, 0.0, 100.0), [44.0, 56.0]);
        assert_eq!(apart(&[99.0, 100.0, 20.0], 12.0, 0.0, 100.0), [88.0, 100.0, 20.0]);
        assert!(apart(&[], 12.0, 0.0, 100.0).is_empty());
        let crowd = apart(&[5.0, 4.0, 30.0, 6.0, 18.0], 10.0, 0.0, 100.0);
        let mut sorted = crowd.clone();
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] > 9.999), "{crowd:?}");
        assert!(crowd[1] < crowd[0] && crowd[0] < crowd[3]);
    }
}
