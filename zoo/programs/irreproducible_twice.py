# cause: irreproducible
# context: two runs with the same seed give different losses
import torch, numpy as np
def run():
    torch.manual_seed(42)
    net = torch.nn.Linear(4, 1)
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in range(3):
        x = torch.from_numpy(np.random.default_rng().normal(size=(16, 4))).float()
        loss = (net(x) - x.sum(1, keepdim=True)).pow(2).mean()
        opt.zero_grad(); loss.backward(); opt.step()
        print(f"  step {step} loss {loss.item():.6f}")
for number in (1, 2):
    print(f"run {number}, seed 42")
    run()
