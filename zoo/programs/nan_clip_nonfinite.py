# cause: nan-exploding-grad
import torch
torch.manual_seed(0)
rnn = torch.nn.RNN(4, 32, nonlinearity="relu")
torch.nn.init.normal_(rnn.weight_hh_l0, std=0.6)
for step, length in enumerate((5, 20, 40, 80, 160)):
    loss = rnn(torch.randn(length, 2, 4))[0].pow(2).mean()
    rnn.zero_grad(); loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(rnn.parameters(), float("inf"))
    print(f"step {step} len {length} loss {loss.item():.3e} grad_norm {norm.item():.3e}")
    torch.nn.utils.clip_grad_norm_(rnn.parameters(), 1.0, error_if_nonfinite=True)
