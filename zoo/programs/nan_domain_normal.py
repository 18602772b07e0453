# cause: nan-domain-op
import torch
mu, log_sigma = torch.zeros(4), torch.tensor([0.1, float("nan"), 0.2, 0.1])
torch.distributions.Normal(mu, log_sigma.exp()).rsample()
