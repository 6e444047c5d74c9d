#!/bin/bash
# Makes an ordinary Debian 12 with systemd for run.sh, as a disk image: make.sh DIRECTORY. As root, once; some minutes.
# Wants: qemu-system-x86 qemu-utils mmdebstrap e2fsprogs openssh-client
set -euo pipefail
directory=$(realpath -m "${1:?usage: make.sh DIRECTORY}")
mkdir -p "$directory"
cd "$directory"
packages=systemd-sysv,dbus-user-session,libpam-systemd,udev,kmod,linux-image-cloud-amd64,openssh-server,iproute2,nftables,procps,curl
packages+=,sudo,ca-certificates,busybox-static,crun,runc,conmon,aardvark-dns,uidmap,passt,git
root=$directory/root
rm -rf "$root"
mmdebstrap --variant=minbase --include="$packages" bookworm "$root"

echo debian >"$root/etc/hostname"
echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
# Not every device: networkd would take a container's off its bridge.
printf '[Match]\nName=en*\n[Network]\nDHCP=yes\n' >"$root/etc/systemd/network/20-dhcp.network"
echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf" # QEMU's
chroot "$root" systemctl enable systemd-networkd
chroot "$root" useradd --create-home --shell /bin/bash alice # with subordinate ids, as useradd gives them
[ -f key ] || ssh-keygen -q -t ed25519 -N '' -f key
for home in root home/alice; do
  mkdir -p "$root/$home/.ssh"
  cp key.pub "$root/$home/.ssh/authorized_keys"
done
chroot "$root" chown -R alice:alice /home/alice

cp "$root"/boot/vmlinuz-* vmlinuz
cp "$root"/boot/initrd.img-* initrd
rm -f disk.img
truncate -s 10G disk.img
mke2fs -q -t ext4 -d "$root" disk.img
rm -rf "$root"
