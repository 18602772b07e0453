# cause: dl-too-many-files
import resource, torch
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
data = torch.utils.data.TensorDataset(torch.randn(400, 4))
kept = [batch for batch in torch.utils.data.DataLoader(data, batch_size=2, num_workers=1)]
