def wer(references, hypotheses):
    """Word error rate over a corpus of sentences."""
    errors = words = 0
    for ref, hyp in zip(references, hypotheses):
        r, h = ref.split(), hyp.split()
        row = list(range(len(h) + 1))
        for i, rw in enumerate(r, 1):
            diag, row[0] = row[0], i
            for j, hw in enumerate(h, 1):
                diag, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diag + (rw != hw))
        errors += row[-1]
        words += len(r)
    return errors / max(words, 1)
