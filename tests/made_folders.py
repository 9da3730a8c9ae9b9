"""Small folders with the exact layout of each benchmark's release, for the tests of its loader."""

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image


def make_image(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (8, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, "JPEG", quality=95)


def make_text(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


# image, item, split: two garments to train with, two to search, one of them twice as a query
IN_SHOP = [
    ("img/WOMEN/Dresses/id_00000002/02_1_front.jpg", "id_00000002", "train"),
    ("img/WOMEN/Dresses/id_00000002/02_2_side.jpg", "id_00000002", "train"),
    ("img/MEN/Denim/id_00000080/01_1_front.jpg", "id_00000080", "train"),
    ("img/WOMEN/Blouses_Shirts/id_00000001/02_1_front.jpg", "id_00000001", "query"),
    ("img/WOMEN/Blouses_Shirts/id_00000001/02_2_side.jpg", "id_00000001", "gallery"),
    ("img/MEN/Shirts_Polos/id_00007970/01_3_back.jpg", "id_00007970", "gallery"),
    ("img/MEN/Shirts_Polos/id_00007970/01_4_full.jpg", "id_00007970", "query"),
    ("img/WOMEN/Blouses_Shirts/id_00000001/02_3_back.jpg", "id_00000001", "query"),
    ("img/WOMEN/Blouses_Shirts/id_00000001/02_4_full.jpg", "id_00000001", "gallery"),
]


def make_in_shop(root: Path, partition: str = "Eval", images: str = "Img") -> Path:
    rows = [f"{image:<70} {item} {split:<10}" for image, item, split in IN_SHOP]
    head = [str(len(rows)), "image_name item_id evaluation_status"]
    make_text(root / partition / "list_eval_partition.txt", head + rows)
    for i, (image, _, _) in enumerate(IN_SHOP):
        make_image(root / images / image, (25 * i, 60, 200 - 20 * i))
    return root


VERI = {
    "train": ["0001_c001_00016450_0.jpg", "0001_c002_00016460_0.jpg", "0005_c001_00016470_0.jpg"],
    "query": ["0002_c002_00030600_0.jpg", "0776_c007_00000600_0.jpg"],
    "test": [
        "0776_c005_00000510_0.jpg",
        "0002_c002_00030600_0.jpg",  # the first query itself
        "0002_c002_00030605_0.jpg",
        "0002_c010_00030700_1.jpg",
        "0776_c007_00000600_0.jpg",
        "0776_c006_00000520_0.jpg",
    ],
}


def make_veri776(root: Path) -> Path:
    for split, names in VERI.items():
        make_text(root / f"name_{split}.txt", names)
        for i, name in enumerate(names):
            make_image(root / f"image_{split}" / name, (40 * i, 100, 30))
    return root


LANDMARKS = {  # landmark: training images; of 27 and 301 the clean list has fewer
    27: ["0a1b2c3d4e5f6071", "1a1b2c3d4e5f6072", "2a1b2c3d4e5f6073"],
    301: ["0a1b2c3d4e5f6074", "9f1b2c3d4e5f6075"],
    5: ["abcdef0123456789"],
}
CLEAN = {301: ["0a1b2c3d4e5f6074"], 27: ["0a1b2c3d4e5f6071", "2a1b2c3d4e5f6073"], 5: LANDMARKS[5]}
INDEX = [f"{i:x}c0ffee000000{i:03x}" for i in range(7)]
SOLUTION = [  # query, relevant index images, usage
    ("5e00000000000001", f"{INDEX[4]} {INDEX[1]}", "Private"),
    ("5e00000000000002", INDEX[0], "Public"),
    ("6e00000000000003", "None", "Ignored"),
    ("7e00000000000004", INDEX[6], "Private"),
]


def make_google_landmarks(root: Path, lists_apart: bool = True) -> Path:
    """With the lists in the splits' folders, as the release's script puts them, or in the root."""
    lists = {s: root / s if lists_apart else root for s in ("train", "index", "test")}
    full = [
        f'{image},"http://upload.example.org/a,b/{image}.jpg",{landmark}'
        for landmark, images in LANDMARKS.items()
        for image in images
    ]
    clean = [f"{landmark},{' '.join(images)}" for landmark, images in CLEAN.items()]
    make_text(lists["train"] / "train.csv", ["id,url,landmark_id", *full])
    make_text(lists["train"] / "train_clean.csv", ["landmark_id,images", *clean])
    make_text(lists["index"] / "index.csv", ["id", *INDEX])
    solution = ["id,images,Usage", *map(",".join, SOLUTION)]
    make_text(lists["test"] / "retrieval_solution_v2.1.csv", solution)
    train = [image for images in LANDMARKS.values() for image in images]
    test = [image for image, _, usage in SOLUTION if usage != "Ignored"]
    for folder, images in (("train", train), ("index", INDEX), ("test", test)):
        for i, image in enumerate(images):
            make_image(root / folder / image[0] / image[1] / image[2] / f"{image}.jpg", (i, 9, 90))
    return root


REVISITED_GALLERY = [f"all_souls_{i:06d}" for i in range(6)]
REVISITED_QUERIES = ["all_souls_000013", "christ_church_000999"]
REVISITED_TRUTH = [
    {"bbx": [2.0, 1.0, 6.4, 4.0], "easy": [0, 3], "hard": [5], "junk": [1]},
    {"bbx": [0, 0, 8, 6], "easy": [], "hard": [2, 4], "junk": []},
]


def make_revisited(root: Path, name: str, protocol: int = 2, arrays: bool = False) -> Path:
    truth = [
        {kind: np.array(v) if arrays else v for kind, v in query.items()}
        for query in REVISITED_TRUTH
    ]
    content = {"gnd": truth, "imlist": REVISITED_GALLERY, "qimlist": REVISITED_QUERIES}
    root.mkdir(parents=True, exist_ok=True)
    (root / f"gnd_{name}.pkl").write_bytes(pickle.dumps(content, protocol))
    for i, image in enumerate(REVISITED_GALLERY + REVISITED_QUERIES):
        make_image(root / "jpg" / f"{image}.jpg", (30 * i, 200 - 20 * i, 7))
    return root


def make_fashion_mnist(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", 60), ("t10k", 20)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 3, 5] = np.arange(count)  # each image by a pixel of its own
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape)
            packed = gzip.compress(head + array.tobytes())
            (root / f"{name}-{kind}-ubyte.gz").write_bytes(packed)
    return root


def make_online_products(root: Path) -> Path:
    """Stanford Online Products, as PML unpacks it."""
    folder = root / "Stanford_Online_Products"
    for split, items in (("train", (1, 2)), ("test", (3, 4))):
        names = [(item, f"bicycle_final/{item}00_{i}.JPG") for item in items for i in range(3)]
        rows = [f"{i + 1} {item} 1 {name}" for i, (item, name) in enumerate(names)]
        make_text(folder / f"Ebay_{split}.txt", ["image_id class_id super_class_id path", *rows])
        for i, (_, name) in enumerate(names):
            make_image(folder / name, (10, 40 * i, 200))
    return root
