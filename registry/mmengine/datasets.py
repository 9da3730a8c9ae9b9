"""Every data set, ours and PML's; their transforms and distortions are configs too."""

from pytorch_metric_learning import datasets as datasets_of_pml
from torch.utils.data import Dataset

from prunnet_pml import datasets
from prunnet_pml.registry.mmengine.building import classes_of, register
from prunnet_pml.registry.mmengine.registries import DATASETS, TRANSFORMS

for module in (datasets_of_pml, datasets):
    for dataset in classes_of(module, Dataset):
        register(dataset, DATASETS, parts=TRANSFORMS)
