import math
from collections import Counter


class BLEU:
    def __init__(self, max_n: int = 4):
        self.max_n = max_n
        self.reset()

    def reset(self):
        self.match = [0] * self.max_n
        self.total = [0] * self.max_n
        self.hyp_len = self.ref_len = 0

    def update(self, hypotheses: list[str], references: list[str]) -> None:
        for hyp, ref in zip(hypotheses, references):
            h, r = hyp.split(), ref.split()
            self.hyp_len += len(h)
            self.ref_len += len(r)
            for n in range(1, self.max_n + 1):
                hc = Counter(tuple(h[i : i + n]) for i in range(len(h) - n + 1))
                rc = Counter(tuple(r[i : i + n]) for i in range(len(r) - n + 1))
                self.match[n - 1] += sum((hc & rc).values())
                self.total[n - 1] += sum(hc.values())

    def compute(self) -> float:
        if min(self.match, default=0) == 0:
            return 0.0
        log_p = sum(math.log(m / t) for m, t in zip(self.match, self.total)) / self.max_n
        bp = 1.0 if self.hyp_len > self.ref_len else math.exp(1 - self.ref_len / self.hyp_len)
        return bp * math.exp(log_p)
