# cause: shape-target
import torch
vocab, criterion = 50, torch.nn.CrossEntropyLoss()
decoder = torch.nn.Sequential(torch.nn.Embedding(vocab, 16), torch.nn.Linear(16, vocab))
tokens = torch.randint(0, vocab, (4, 12))
logits = decoder(tokens[:, :-1])
loss = criterion(logits.reshape(-1, vocab), tokens.flatten())
loss.backward()
