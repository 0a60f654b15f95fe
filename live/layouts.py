"""Images, made of a few files: what `skopeo copy oci:…` pushes."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

Json = dict[str, object]


def layout(directory: Path, text: str, platforms: Sequence[str] = ("linux/amd64",)) -> str:
    """Write an image that holds this text, an index of images for several platforms; returns its digest. The same text gives the same."""
    (directory / "blobs" / "sha256").mkdir(parents=True)
    images = [_image(directory, f"{text} for {platform}", platform) for platform in platforms]
    image = images[0] if len(images) == 1 else _kept(directory, INDEX, _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": images}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (directory / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": [image]}))
    return str(image["digest"])


def _image(directory: Path, text: str, platform: str) -> Json:
    """One image of one layer, as an index speaks of it."""
    system, architecture = platform.split("/")
    runs_on = {"os": system, "architecture": architecture}
    tar = _tar(text)
    root = {"type": "layers", "diff_ids": [_digest(tar)]}
    config = _kept(directory, CONFIG, _json({**runs_on, "config": {}, "rootfs": root}))
    layer = _kept(directory, LAYER, gzip.compress(tar, mtime=0))
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
    return {**_kept(directory, MANIFEST, _json(manifest)), "platform": runs_on}


def _tar(text: str) -> bytes:
    content, archive = text.encode(), io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        info = tarfile.TarInfo("agent")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return archive.getvalue()


def _kept(directory: Path, media_type: str, content: bytes) -> Json:
    digest = _digest(content)
    (directory / "blobs" / digest.replace(":", "/")).write_bytes(content)
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(said: Json) -> bytes:
    return json.dumps(said).encode()
