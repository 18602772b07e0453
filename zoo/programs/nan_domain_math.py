# cause: nan-domain-op
import math
losses = [0.7, 0.4, 0.0]
for step, loss in enumerate(losses):
    print("step", step, "bits", math.log2(loss))
