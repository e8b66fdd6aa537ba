#!/usr/bin/env bash
# A Slurm of one node on this machine, for tests: real daemons, no systemd, no accounting.
#
#   eval "$(tests/slurm/cluster.sh start DIR)"   # sets SLURM_CONF; needs slurmctld, slurmd, munge, and root
#   tests/slurm/cluster.sh stop DIR
set -euo pipefail

action="${1:?start or stop}"
mkdir -p "${2:?a directory for its files}"
dir="$(cd "$2" && pwd)"

stop() {
    for daemon in slurmd slurmctld; do
        if [[ -f "$dir/$daemon.pid" ]]; then
            kill "$(cat "$dir/$daemon.pid")" 2>/dev/null || true
            rm -f "$dir/$daemon.pid"
        fi
    done
}

if [[ "$action" == stop ]]; then
    stop
    exit
fi
stop
for program in slurmctld slurmd sbatch munged; do
    if ! PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null; then
        echo "error: $program is missing; on Debian: apt-get install slurmctld slurmd slurm-client munge" >&2
        exit 1
    fi
done
PATH="$PATH:/usr/sbin:/sbin"

if [[ ! -S /run/munge/munge.socket.2 ]] || ! munge -n >/dev/null 2>&1; then
    [[ -f /etc/munge/munge.key ]] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none
    chown munge:munge /etc/munge/munge.key
    chmod 400 /etc/munge/munge.key
    install -d -o munge -g munge -m 755 /run/munge
    runuser -u munge -- /usr/sbin/munged >&2
fi

host="$(hostname -s)"
mkdir -p "$dir/state" "$dir/spool"
cat >"$dir/slurm.conf" <<END
ClusterName=spikeloop
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=16817
SlurmdPort=16818
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SchedulerParameters=sched_interval=5,batch_sched_delay=0
MinJobAge=60
KillWait=5
# Small, so that a study needs more than one array.
MaxArraySize=9
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF="$dir/slurm.conf"
# What they have to say is in their logs; the caller's standard output is not theirs to keep open.
slurmctld -c >&2
slurmd -c >&2
for _ in $(seq 60); do
    if [[ "$(sinfo --noheader --format=%T 2>/dev/null)" == idle* ]]; then
        echo "export SLURM_CONF='$SLURM_CONF'"
        exit
    fi
    sleep 0.5
done
echo "error: the node does not come up; see $dir/slurmctld.log and $dir/slurmd.log" >&2
exit 1
