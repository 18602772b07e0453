# cause: env-numpy
import numpy as np
best = np.Inf
