#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a ResNet on CIFAR-10 in one of two stages.

  train.py relu NAME                 with ReLU, from random weights
  train.py poly NAME --teacher FILE  from the weights of such a network, ReLU replaced by polynomials of degree 2,
                                     with its logits as soft targets and a penalty on values beyond the ranges

Writes WORK/NAME.pt. After every epoch WORK/NAME.state is written beside and renamed; a run that was stopped goes on
from there, to the same weights. Only the first 45,000 pictures are read.
"""
import argparse
import json
import math
import time
from pathlib import Path

import torch
from torch.nn import functional as F

import cifar
from model import SHAPES, Poly, ResNet

DEFAULTS = {  # stage: options that differ
    "relu": {"epochs": 42, "lr": 0.2, "warm": 0.2, "float": 0, "follow": 0, "frozen": 0},
    "poly": {"epochs": 12, "lr": 0.02, "warm": 0.1, "float": 3, "follow": 2, "frozen": 2},
}
PLACES = ("device", "threads", "data", "work")  # what a run's result does not depend on


def options(argv=None):
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("stage", choices=DEFAULTS)
    a.add_argument("name")
    a.add_argument("--shape", choices=SHAPES, default="resnet20")
    a.add_argument("--classes", type=int, default=10)
    a.add_argument("--teacher", type=Path, help="weights of the ReLU network (poly)")
    a.add_argument("--start", type=Path, help="weights to go on from, instead of the teacher's (poly)")
    a.add_argument("--epochs", type=int)
    a.add_argument("--batch", type=int, default=128)
    a.add_argument("--lr", type=float, help="the greatest: a linear rise, then a cosine to 0")
    a.add_argument("--warm", type=float, help="part of the steps in which the rate rises")
    a.add_argument("--decay", type=float, default=5e-4, help="weight decay")
    a.add_argument("--distil", type=float, default=0.7, help="weight of the teacher's targets in the loss (poly)")
    a.add_argument("--temperature", type=float, default=3.0)
    a.add_argument("--range", type=float, default=0.5, help="weight of the penalty beyond the ranges (poly)")
    a.add_argument("--follow", type=int, help="first epochs, in which the ranges follow the values (poly)")
    a.add_argument("--hard", type=int, default=0, help="pictures that go furthest, found before each epoch (poly)")
    a.add_argument("--repeat", type=int, default=5, help="how often an epoch shows these in addition")
    a.add_argument("--frozen", type=int, help="last epochs, with the normalisations' statistics held (poly)")
    a.add_argument("--float", type=int, help="last epochs, in float32 instead of bfloat16")
    a.add_argument("--seed", type=int, default=20)
    a.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--data", help="folder of the batches (default: $VELUM_DATA/cifar10)")
    a.add_argument("--work", type=Path, default=cifar.WORK)
    opt = a.parse_args(argv)
    for k, v in DEFAULTS[opt.stage].items():
        if getattr(opt, k) is None:
            setattr(opt, k, v)
    if (opt.stage == "poly") != bool(opt.teacher):
        a.error("--teacher goes with the stage poly")
    return opt


def augment(x):
    """Each picture shifted by up to 4 pixels each way, grey coming in, and mirrored or not."""
    n = len(x)
    move, mirror = torch.randint(0, 9, (2, n, 1)), torch.rand(n, 1) < 0.5
    rows = torch.arange(32) + move[0]
    cols = torch.where(mirror, torch.arange(31, -1, -1), torch.arange(32)) + move[1]
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 4, 4, 4, 4), value=120)
    return padded[torch.arange(n)[:, None, None], rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2).float()


def rate(opt, step, steps):
    rise = max(1, int(opt.warm * steps))
    if step < rise:
        return opt.lr * (0.05 + 0.95 * step / rise)
    return opt.lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


def loss_of(net, x, y, teacher, opt):
    logits = net(x).float()
    loss = F.cross_entropy(logits, y)
    if teacher:
        t = opt.temperature
        with torch.no_grad():
            soft = F.softmax(teacher(x).float() / t, 1)
        far = F.kl_div(F.log_softmax(logits / t, 1), soft, reduction="batchmean") * t * t
        loss = (1 - opt.distil) * loss + opt.distil * far
        loss = loss + opt.range * sum(m.excess for _, m in net.activations())
    return loss, (logits.argmax(1) == y).sum().item()


def set_mode(net, opt, epoch):
    net.train()
    for m in net.modules():
        if isinstance(m, Poly):
            m.follow = 1.1 * (epoch < opt.follow)
        if isinstance(m, torch.nn.BatchNorm2d):
            m.train(epoch < opt.epochs - opt.frozen)


def furthest(net, x, opt):
    """The opt.hard pictures of x that go furthest out of some channel's range."""
    far = []

    def see(m, inputs):
        far[-1].append((inputs[0].abs().amax((2, 3)) / m.spans()).amax(1).float())

    net.eval()
    hooks = [m.register_forward_pre_hook(see) for _, m in net.activations()]
    with torch.no_grad(), torch.autocast(opt.device.split(":")[0], torch.bfloat16):
        for part in x.split(opt.batch):
            far.append([])
            net(part.to(opt.device).float().contiguous(memory_format=torch.channels_last))
    for h in hooks:
        h.remove()
    worst = torch.cat([torch.stack(f).nan_to_num(nan=torch.inf).amax(0) for f in far])
    return worst.topk(opt.hard)[1].cpu()


def epoch_of(net, teacher, optim, x, y, opt, epoch):
    steps, dev = (len(x) + opt.hard * opt.repeat) // opt.batch, opt.device
    order, total, right = torch.arange(len(x)), 0.0, 0
    if opt.hard:
        order = torch.cat([order, furthest(net, x, opt).repeat(opt.repeat)])
    order = order[torch.randperm(len(order))]
    bf16 = epoch < opt.epochs - opt.float
    set_mode(net, opt, epoch)
    for i in range(steps):
        k = order[i * opt.batch:(i + 1) * opt.batch]
        xb = augment(x[k]).to(dev).contiguous(memory_format=torch.channels_last)
        for g in optim.param_groups:
            g["lr"] = rate(opt, epoch * steps + i, opt.epochs * steps)
        with torch.autocast(dev.split(":")[0], torch.bfloat16, enabled=bf16):
            loss, hits = loss_of(net, xb, y[k].to(dev), teacher, opt)
        optim.zero_grad(set_to_none=True)
        loss.backward()
        if teacher:
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optim.step()
        total, right = total + loss.item(), right + hits
    if not math.isfinite(total):
        raise SystemExit(f"epoch {epoch + 1}: the loss is not finite")
    return total / steps, right / (steps * opt.batch)


def write(path, what):
    new = path.with_suffix(".new")
    torch.save(what, new)
    new.replace(path)


def fit(net, teacher, x, y, opt):
    optim = torch.optim.SGD(net.parameters(), lr=opt.lr, momentum=0.9, nesterov=True, weight_decay=opt.decay)
    state, key = opt.work / f"{opt.name}.state", json.dumps({k: str(v) for k, v in vars(opt).items()
                                                             if k not in PLACES})
    done, seconds = 0, 0.0
    if state.exists():
        s = torch.load(state, map_location="cpu")
        if s["key"] != key:
            raise SystemExit(f"{state}: from other options; remove it to start again")
        net.load_state_dict(s["net"])
        optim.load_state_dict(s["optim"])
        torch.set_rng_state(s["rng"])
        done, seconds = s["epoch"], s["seconds"]
    for epoch in range(done, opt.epochs):
        start = time.monotonic()
        loss, right = epoch_of(net, teacher, optim, x, y, opt, epoch)
        seconds += time.monotonic() - start
        print(f"{opt.name}: epoch {epoch + 1} of {opt.epochs}, loss {loss:.4f}, training accuracy {right:.4f}, "
              f"{seconds:.0f} s", flush=True)
        write(state, {"key": key, "epoch": epoch + 1, "net": net.state_dict(), "optim": optim.state_dict(),
                      "rng": torch.get_rng_state(), "seconds": seconds})
    stage = {k: v for k, v in vars(opt).items() if k not in PLACES + ("shape", "classes", "teacher", "start", "name")}
    stages = restore(opt.start)[1]["stages"] if opt.start else []
    write(opt.work / f"{opt.name}.pt", {"shape": opt.shape, "activation": opt.stage, "classes": opt.classes,
                                        "stages": [*stages, {**stage, "seconds": round(seconds)}], "net": net.state_dict()})


def restore(path):
    """(net, everything else that train.py wrote)"""
    s = torch.load(path, map_location="cpu")
    net = ResNet(s["shape"], s["activation"], s["classes"])
    net.load_state_dict(s.pop("net"))
    return net.eval(), s


def main():
    opt = options()
    torch.set_num_threads(opt.threads)
    torch.use_deterministic_algorithms(opt.device == "cpu")
    images, labels = cifar.load(opt.data, opt.work)
    x, y = torch.tensor(images[cifar.TRAIN]), torch.tensor(labels[cifar.TRAIN])
    torch.manual_seed(opt.seed)
    net, teacher = ResNet(opt.shape, opt.stage, opt.classes), None
    if opt.teacher:
        teacher = restore(opt.teacher)[0].requires_grad_(False)
        start = restore(opt.start)[0] if opt.start else teacher
        net.load_state_dict(start.state_dict(), strict=bool(opt.start))
        teacher.to(opt.device, memory_format=torch.channels_last)
    fit(net.to(opt.device, memory_format=torch.channels_last), teacher, x, y, opt)


if __name__ == "__main__":
    main()
