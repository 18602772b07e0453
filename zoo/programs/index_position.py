# cause: cuda-index-out-of-range
import torch
class GPT(torch.nn.Module):
    def __init__(self, block_size=32):
        super().__init__()
        self.wte, self.wpe = torch.nn.Embedding(100, 16), torch.nn.Embedding(block_size, 16)
    def forward(self, idx):
        return self.wte(idx) + self.wpe(torch.arange(idx.size(1)))
GPT()(torch.randint(0, 100, (2, 48)))
