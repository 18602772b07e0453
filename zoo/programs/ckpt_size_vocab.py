# cause: ckpt-size-mismatch
import torch
class LM(torch.nn.Module):
    def __init__(self, vocab):
        super().__init__(); self.embed_tokens = torch.nn.Embedding(vocab, 8); self.lm_head = torch.nn.Linear(8, vocab, bias=False)
torch.save(LM(320).state_dict(), "lm.bin")
LM(321).load_state_dict(torch.load("lm.bin", weights_only=True))
