#!/usr/bin/env bash
# Installs what e2e/image.test.ts builds and runs the image with, on Debian, as root: podman (whose builder is buildah), runc, mmdebstrap, and
# an emulator, with which programs for arm64 run on amd64 until this machine is started again. Then runs a container, which not every machine
# lets root do.
set -euo pipefail

missing=()
for package in podman runc mmdebstrap qemu-user-static; do
  dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done

install() { DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends -o Acquire::Retries=3 -o DPkg::Lock::Timeout=60 "${missing[@]}" >/dev/null; }
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}"
  # Lists of packages may be missing or old; one source out of reach may be one that is not needed here.
  install 2>/dev/null || { apt-get update -o Acquire::Retries=3 >/dev/null || true; install; }
fi

formats=/proc/sys/fs/binfmt_misc
if [ "$(uname -m)" = x86_64 ] && [ ! -e $formats/qemu-aarch64 ]; then
  [ -e $formats/register ] || mount -t binfmt_misc binfmt_misc $formats
  cat /usr/lib/binfmt.d/qemu-aarch64.conf >$formats/register
fi

# The emulator is a program that needs no other file, so it is an image of its own.
emulator=/usr/bin/qemu-aarch64-static
[ -e $emulator ] || emulator=/usr/bin/qemu-x86_64-static
folder=$(mktemp --directory)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/image"
cp $emulator "$folder/image/program"
podman --root "$folder/storage" --runroot "$folder/run" --runtime=runc --cgroup-manager=cgroupfs \
  run --rm --network=host --read-only --cap-drop=all --memory=256m --ulimit=nofile=1024:1024 --ulimit=nproc=1024:1024 \
  --rootfs "$folder/image" /program --version >/dev/null
