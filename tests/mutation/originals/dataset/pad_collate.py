import torch
from torch.nn.utils.rnn import pad_sequence


def pad_collate(batch):
    """Pad a list of (sequence, label) samples; returns sequences, lengths and labels."""
    seqs, labels = zip(*batch)
    lengths = torch.tensor([len(s) for s in seqs])
    padded = pad_sequence([torch.as_tensor(s) for s in seqs], batch_first=True, padding_value=0)
    return padded, lengths, torch.tensor(labels)
