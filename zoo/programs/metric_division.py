# cause: metric-bug
# context: accuracy is always 0 although the loss falls
import torch
for epoch in range(4):
    loss, correct, seen = 1.0 / (epoch + 1), 30 + epoch * 10, 100
    print(f"epoch {epoch} loss {loss:.4f} accuracy {correct // seen * 100}%")
