# cause: cuda-index-out-of-range
import torch
tokenizer_vocab = 1003
embed = torch.nn.Embedding(1000, 32)
ids = torch.tensor([[5, 17, 1001, 3]])
print("ids", ids.max().item(), "vocab", tokenizer_vocab)
embed(ids)
