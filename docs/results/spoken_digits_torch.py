"""The recurrent network of studies/spoken-digits.toml in PyTorch, on the very same spikes.

    spikeloop data export studies/spoken-digits.toml --out digits.safetensors
    python docs/results/spoken_digits_torch.py digits.safetensors --seeds 1 2 3

Equations, surrogate, loss, optimiser, jitter of channels and numbers are those of the experiment: exponential synapses, a
reset to rest that is held for the refractory time, SuperSpike's derivative for the step (the reset is left out of the
gradient), cross-entropy of the readouts' means. Initial weights are drawn as there, and scaled by bisection until hidden
neurons fire as often. What is not here: the bounds on weights and rates.
"""

import argparse
import json
import math
import time

import torch
from safetensors import safe_open

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--seeds", type=int, nargs="+", default=[1])
parser.add_argument("--epochs", type=int, default=40)
parser.add_argument("--batch", type=int, default=50)
parser.add_argument("--rate", type=float, default=0.003)
parser.add_argument("--hidden", type=int, default=186)
parser.add_argument("--slope", type=float, default=40.0)
parser.add_argument("--dt", type=float, default=1.0, help="µs")
parser.add_argument("--tau-mem", type=float, default=10.0, help="µs")
parser.add_argument("--tau-syn", type=float, default=10.0, help="µs")
parser.add_argument("--t-ref", type=float, default=1.0, help="µs")
parser.add_argument("--logit-scale", type=float, default=30.0)
parser.add_argument("--jitter", type=float, default=2.0, help="channels")
parser.add_argument("--device", default="cpu", help="for so small a network a GPU takes longer")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--activity", type=float, default=2.0, help="initial spikes of a hidden neuron in a sample")
parser.add_argument("--frozen", action="store_true", help="recurrent weights stay as they were drawn")
options = parser.parse_args()
device = options.device
torch.set_num_threads(options.threads)

with safe_open(options.data, "pt") as file:
    about = json.loads(file.metadata()["spikeloop"])
    tensors = {name: file.get_tensor(name) for name in file.keys()}
steps = round(about["window_ns"] / 1000 / options.dt) + 1
inputs, classes = about["inputs"], about["classes"]


class Part:
    """Samples as events."""

    def __init__(self, name):
        self.offsets = tensors[f"{name}.offsets"].long()
        self.steps = (tensors[f"{name}.times_ns"].long() / 1000 / options.dt).long().clamp(max=steps - 1)
        self.units = tensors[f"{name}.units"].long()
        self.labels = tensors[f"{name}.labels"].long().to(device)

    def dense(self, indices, generator=None):
        """Spikes of samples, [sample, step, input]; with a generator each spike's channel is moved by chance."""
        begin, count = self.offsets[indices], self.offsets[indices + 1] - self.offsets[indices]
        sample = torch.repeat_interleave(torch.arange(len(indices)), count)
        first = torch.repeat_interleave(begin - count.cumsum(0) + count, count)
        event = first + torch.arange(len(sample))
        step, unit = self.steps[event], self.units[event]
        if generator is not None and options.jitter > 0:
            unit = (unit + options.jitter * torch.randn(len(unit), generator=generator)).round().long()
            kept = (unit >= 0) & (unit < inputs)
            sample, step, unit = sample[kept], step[kept], unit[kept]
        spikes = torch.zeros(len(indices), steps, inputs)
        spikes.index_put_((sample, step, unit), torch.ones(len(sample)), accumulate=True)
        return spikes.to(device)


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).float()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient / (options.slope * x.abs() + 1) ** 2


alpha, beta = math.exp(-options.dt / options.tau_syn), math.exp(-options.dt / options.tau_mem)
hold = round(options.t_ref / options.dt)
# From ω to the recursion's weights: postsynaptic potentials of the same area.
scale = options.tau_mem / options.dt * (1 - alpha) * (1 - beta)


def run(weights, spikes):
    """Readouts' membranes, [sample, step, class], and spikes of hidden neurons."""
    w, v, out = (scale * weight for weight in weights)
    drive = spikes @ w
    batch = len(spikes)
    i, u = torch.zeros(2, batch, options.hidden, device=device)
    i_out, u_out = torch.zeros(2, batch, classes, device=device)
    waiting = torch.zeros(batch, options.hidden, device=device)
    membranes, count = [], 0.0
    for step in range(steps):
        s = Spike.apply(u - 1)
        count = count + s
        membranes.append(u_out)
        fired = s.detach() > 0
        waiting = torch.where(fired, torch.full_like(waiting, hold), (waiting - 1).clamp(min=0))
        free = beta * torch.where(fired, torch.zeros_like(u), u) + i
        u = torch.where(waiting > 0, torch.zeros_like(u), free)
        i = alpha * i + drive[:, step] + s @ v
        u_out = beta * u_out + i_out
        i_out = alpha * i_out + s @ out
    return torch.stack(membranes, 1), count


def initial(generator, spikes):
    def draw(rows, columns, mean=0.1):
        return (mean + torch.randn(rows, columns, generator=generator)).to(device) / math.sqrt(rows)

    w, out = draw(inputs, options.hidden), draw(options.hidden, classes)
    v = 0.2 * draw(options.hidden, options.hidden, mean=0.0)
    low, high = 0.0, 10.0
    with torch.no_grad():
        for _ in range(20):
            middle = (low + high) / 2
            activity = run([middle * w, middle * v, out], spikes)[1].mean()
            low, high = (middle, high) if activity < options.activity else (low, middle)
        w, v = middle * w, middle * v
        amplitude = run([w, v, out], spikes)[0].abs().amax(1).mean()
    return [w, v, 0.3 / amplitude * out]


train, test = Part("train"), Part("test")
for seed in options.seeds:
    start = time.time()
    generator = torch.Generator().manual_seed(seed)
    weights = [weight.requires_grad_() for weight in initial(generator, train.dense(torch.arange(100)))]
    learned = [weights[0], weights[2]] if options.frozen else weights
    optimiser = torch.optim.Adam(learned, lr=options.rate)
    batches = math.ceil(len(train.labels) / options.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.epochs * batches)
    for epoch in range(options.epochs):
        correct, spiked = 0, 0.0
        order = torch.randperm(len(train.labels), generator=generator)
        for indices in order.split(options.batch):
            membranes, count = run(weights, train.dense(indices, generator))
            logits = options.logit_scale * membranes.mean(1)
            labels = train.labels[indices.to(device)]
            loss = torch.nn.functional.cross_entropy(logits, labels) + 0.01 * (membranes.amax(1) ** 2).mean()
            loss = loss + 0.001 * (count**2).sum(1).mean() / options.hidden
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            correct += (logits.argmax(1) == labels).sum().item()
            spiked += count.sum().item()
        if epoch % 10 == 9:
            print(f"seed {seed} epoch {epoch + 1}: train {100 * correct / len(order):.1f} %, "
                  f"{spiked / len(order):.0f} hidden spikes", flush=True)
    with torch.no_grad():
        parts = torch.arange(len(test.labels)).split(100)
        logits = torch.cat([run(weights, test.dense(part))[0].mean(1) for part in parts])
    accuracy = (logits.argmax(1) == test.labels).float().mean().item()
    print(f"seed {seed}: test {100 * accuracy:.2f} %, {time.time() - start:.0f} s, torch {torch.__version__}, {device}",
          flush=True)
