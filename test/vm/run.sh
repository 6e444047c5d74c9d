#!/bin/bash
# Tries dist/slipway in the machine that make.sh has made: run.sh DIRECTORY. Everything that takes another host than that of the suite:
# cgroup version 2 under systemd, a plain user with a session, starts and ends of the host, a loss of power. Without KVM it takes half an hour.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
cd "${1:?usage: run.sh DIRECTORY}"
port=${PORT:-2222}
accel=tcg
[ -w /dev/kvm ] && accel=kvm

qemu-img create -q -f qcow2 -b disk.img -F raw run.qcow2
qemu=
start() {
  qemu-system-x86_64 -accel "$accel" -cpu "${CPU:-max}" -smp 2 -m 4096 -display none -monitor none -serial file:console.log \
    -kernel vmlinuz -initrd initrd -append 'root=/dev/vda rw console=ttyS0 quiet' -drive file=run.qcow2,if=virtio \
    -netdev "user,id=net,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=net -device virtio-rng-pci &
  qemu=$!
}
in_vm() { # in_vm USER COMMAND…
  ssh -q -i key -p "$port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=10 "$1@127.0.0.1" "${@:2}"
}
up() {
  for _ in $(seq 90); do
    if in_vm root true; then
      in_vm root 'systemctl is-system-running --wait' || true
      return
    fi
    sleep 5
  done
  echo "the machine does not come up: see console.log" >&2
  exit 1
}
trap '[ -z "$qemu" ] || kill "$qemu"' EXIT

start
up
gzip -1 <"$here/../../dist/slipway" | in_vm root 'gunzip >/usr/local/bin/slipway && chmod 755 /usr/local/bin/slipway'
in_vm root 'cat >/etc/systemd/system/slipway-containers.service' <"$here/../../examples/systemd/slipway-containers.service"
in_vm root 'systemctl enable --now slipway-containers'
in_vm root bash -s < <(cat "$here/is.sh" "$here/root.sh")
in_vm alice bash -s < <(cat "$here/is.sh" "$here/user.sh")

echo "== the host starts anew"
boot=$(in_vm root 'cat /proc/sys/kernel/random/boot_id')
in_vm root systemctl reboot || true
while [ "$(in_vm root 'cat /proc/sys/kernel/random/boot_id' || echo "$boot")" = "$boot" ]; do sleep 5; done
up
in_vm root bash -s < <(cat "$here/is.sh" "$here/afterReboot.sh")

echo "== power fails right after a build"
in_vm root bash -s < <(cat "$here/is.sh" "$here/beforeCut.sh")
kill -KILL "$qemu"
wait "$qemu" || true
start
up
in_vm root bash -s < <(cat "$here/is.sh" "$here/afterCut.sh")
in_vm root poweroff || true
wait "$qemu" || true
qemu=
echo "all as it should be"
