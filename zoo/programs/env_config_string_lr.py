# cause: env-config
import yaml, torch
config = yaml.safe_load("optimizer:\n  lr: 1e-4\n  weight_decay: 0.05\n")
print("config:", config)
torch.optim.AdamW(torch.nn.Linear(2, 2).parameters(), **config["optimizer"])
