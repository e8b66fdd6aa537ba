"""Writes metrics.json: three small networks, their inputs, and what the package `neurobench` says of them.

    python -m venv env && env/bin/pip install torch snntorch neurobench==2.3.0
    env/bin/python tests/neurobench/make.py

The networks are the discrete recursion of the ideal network:

    S[n] = U[n] > 1,  I[n+1] = alpha I[n] + W S_below[n] + V S[n],  U[n+1] = beta U[n] + I[n] - S[n]

A readout is a layer that never reaches its threshold.
"""

import json
import pathlib
import random

import neurobench
import snntorch as snn
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
from neurobench.metrics.workload import ActivationSparsity, MembraneUpdates, SynapticOperations
from neurobench.models import SNNTorchModel

ALPHA, BETA = 0.8, 0.9


class Neurons(snn.SpikingNeuron):
    """One layer; its state is U and I, as buffers, so that they count in the footprint."""

    def __init__(self, size, spiking):
        torch.nn.Module.__init__(self)
        self.init_hidden, self.output = False, False
        self.size, self.threshold = size, 1.0 if spiking else float("inf")
        self.register_buffer("mem", torch.zeros(size))
        self.register_buffer("syn", torch.zeros(size))
        self.restart()

    def restart(self):
        self.mem, self.syn = torch.zeros(self.size), torch.zeros(self.size)
        # What the last step left for this one; no state of the recursion.
        self.spikes, self.pending = torch.zeros(self.size), torch.zeros(self.size)
        self.first = True

    def forward(self, arriving):
        if self.first:
            self.mem, self.first = torch.zeros_like(arriving), False
        else:
            reset = self.spikes if self.threshold < float("inf") else 0.0
            self.mem, self.syn = BETA * self.mem + self.syn - reset, ALPHA * self.syn + self.pending
        self.spikes = (self.mem > self.threshold).float()
        self.pending = arriving
        return self.spikes, self.mem


class Network(torch.nn.Module):
    def __init__(self, weights, recurrent):
        super().__init__()
        sizes = [len(weights[0]), len(weights[0][0]), len(weights[-1][0])]
        linear = lambda w: torch.nn.Linear(len(w), len(w[0]), bias=False)
        self.w1, self.w2 = linear(weights[0]), linear(weights[-1])
        self.hidden, self.readout = Neurons(sizes[1], True), Neurons(sizes[2], False)
        self.recurrent = linear(weights[1]) if recurrent else None
        layers = [self.w1] + ([self.recurrent] if recurrent else []) + [self.w2]
        for layer, w in zip(layers, weights):
            layer.weight.data = torch.tensor(w).T.contiguous()
        self.hidden_spikes = 0

    def reset(self):
        self.hidden.restart()
        self.readout.restart()

    def forward(self, x):
        if self.recurrent is None:
            spikes, _ = self.hidden(self.w1(x))
        else:
            # The recurrent weights see the spikes of this very step, and reach the currents of the next.
            before = self.hidden
            arriving = self.w1(x)
            spikes, _ = before(arriving)
            before.pending = arriving + self.recurrent(spikes)
        self.hidden_spikes += int(spikes.sum())
        return self.readout(self.w2(spikes))


def matrix(draw, rows, columns, mean, scale):
    # Multiples of 1/64, which are the same in every format, and a third of them zero.
    weight = lambda: 0.0 if draw.random() < 0.33 else round(draw.gauss(mean, scale) * 64) / 64
    return [[weight() for _ in range(columns)] for _ in range(rows)]


def case(name, seed, recurrent, batch, doubled):
    draw = random.Random(seed)
    inputs, hidden, outputs, steps, samples = 12, 20, 4, 25, 6
    weights = [matrix(draw, inputs, hidden, 0.06, 0.25)]
    if recurrent:
        weights.append(matrix(draw, hidden, hidden, -0.02, 0.1))
    weights.append(matrix(draw, hidden, outputs, 0.0, 0.2))
    events = [
        sorted((n, i) for n in range(steps) for i in range(inputs) if draw.random() < 0.12) for _ in range(samples)
    ]
    if doubled:
        # Two spikes of one input in one step: no longer a train of spikes, so that this call multiplies.
        events[1] = sorted(events[1] + [events[1][3]])
    data = torch.zeros(samples, steps, inputs)
    for sample, own in enumerate(events):
        for n, i in own:
            data[sample, n, i] += 1
    network = Network(weights, recurrent)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(data, torch.zeros(samples)), batch_size=batch, shuffle=False
    )
    metrics = [
        [Footprint, ParameterCount, ConnectionSparsity],
        [ActivationSparsity, SynapticOperations, MembraneUpdates],
    ]
    benchmark = Benchmark(SNNTorchModel(network), loader, [], [], metrics)
    with torch.no_grad():
        results = benchmark.run(quiet=True)
    return {
        "name": name,
        "sizes": [inputs, hidden, outputs],
        "recurrent": recurrent,
        "alpha": ALPHA,
        "beta": BETA,
        "steps": steps,
        "batch": batch,
        "weights": weights,
        "events": events,
        "hidden_spikes": network.hidden_spikes,
        "results": results,
    }


cases = [
    case("feed-forward, one batch, an input that spikes twice", 1, False, 6, True),
    case("recurrent, three batches", 2, True, 2, False),
    case("recurrent, sample by sample, an input that spikes twice", 3, True, 1, True),
]
try:
    version = neurobench.__version__
except AttributeError:
    from importlib.metadata import version as of

    version = of("neurobench")
path = pathlib.Path(__file__).with_name("metrics.json")
path.write_text(json.dumps({"neurobench": version, "torch": torch.__version__, "cases": cases}) + "\n")
for one in cases:
    print(one["name"], one["hidden_spikes"], one["results"])
