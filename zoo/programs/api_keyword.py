# cause: api-misuse
import torch
model = torch.nn.TransformerEncoderLayer(d_model=16, nhead=2, batch_first=True)
model(torch.randn(2, 5, 16), key_padding_mask=torch.zeros(2, 5).bool())
