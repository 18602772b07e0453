# cause: autograd-inplace
import torch, torch.nn as nn
netG = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8))
netD = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
optG, optD = torch.optim.Adam(netG.parameters()), torch.optim.Adam(netD.parameters())
bce = nn.BCEWithLogitsLoss()
for i in range(3):
    fake = netG(torch.randn(4, 4))
    score = netD(fake)
    lossD = bce(netD(torch.randn(4, 8)), torch.ones(4, 1)) + bce(score, torch.zeros(4, 1))
    optD.zero_grad(); lossD.backward(retain_graph=True); optD.step()
    lossG = bce(score, torch.ones(4, 1))
    optG.zero_grad(); lossG.backward(); optG.step()
    print(f"[{i}] Loss_D: {lossD:.4f} Loss_G: {lossG:.4f}")
