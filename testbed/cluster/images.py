"""Images of containers, written without a registry or a builder.

Source: OCI Image Format Specification 1.0: an image layout in a tar archive, with uncompressed layers.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_BLOCK: Final = 1 << 20
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """An image of one or more layers.

    Attributes:
        name: With registry and tag, as manifests give it.
        layers: Of each layer, the files and folders of this machine by absolute path in the image.
        entrypoint: The program and its first arguments.
        user: `uid:gid`.
        environment: Variables.
        folders: Empty folders that every user may write to.
    """

    name: str
    layers: Sequence[Mapping[str, Path]]
    entrypoint: Sequence[str]
    user: str = "65534:65534"
    environment: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[str] = ("/tmp",)  # noqa: S108 - in the image


def write(image: Image, archive: Path) -> None:
    """Write an image as `ctr images import` reads it."""
    with tarfile.open(archive, "w") as layout:
        layers = [_add_layer(layout, archive, files, image.folders) for files in image.layers]
        configuration = {
            "architecture": _ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": {
                "User": image.user,
                "Entrypoint": list(image.entrypoint),
                "Env": [f"{name}={value}" for name, value in image.environment.items()],
            },
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _add_json(layout, _CONFIG, configuration),
            "layers": layers,
        }
        described = _add_json(layout, _MANIFEST, manifest)
        described["annotations"] = {"io.containerd.image.name": image.name}
        _add(layout, "index.json", json.dumps({"schemaVersion": 2, "manifests": [described]}).encode())
        _add(layout, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')


def _add_layer(
    layout: tarfile.TarFile, archive: Path, files: Mapping[str, Path], folders: Sequence[str]
) -> dict[str, Any]:
    packed = archive.with_suffix(".layer")
    with tarfile.open(packed, "w") as layer:
        for folder in folders:
            entry = tarfile.TarInfo(folder.lstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            layer.addfile(entry)
        for name, source in files.items():
            layer.add(source, name.lstrip("/"), filter=_of_root)
    with packed.open("rb") as content:
        hashed = hashlib.sha256()
        while block := content.read(_BLOCK):
            hashed.update(block)
        digest = hashed.hexdigest()
        content.seek(0)
        size = packed.stat().st_size
        entry = tarfile.TarInfo(f"blobs/sha256/{digest}")
        entry.size = size
        layout.addfile(entry, content)
    packed.unlink()
    return {"mediaType": _LAYER, "digest": f"sha256:{digest}", "size": size}


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _add_json(layout: tarfile.TarFile, media_type: str, value: Any) -> dict[str, Any]:
    content = json.dumps(value).encode()
    digest = hashlib.sha256(content).hexdigest()
    _add(layout, f"blobs/sha256/{digest}", content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _add(layout: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    layout.addfile(entry, io.BytesIO(content))
