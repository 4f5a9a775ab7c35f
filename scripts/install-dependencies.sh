# SPDX-License-Identifier: Apache-2.0
#
# Sourced: install_dependencies installs the Debian packages that are missing, and nothing else.
dependency_packages="g++ cmake ninja-build pkg-config libgtest-dev libgmock-dev libbenchmark-dev lxc-dev
 liblxc-common libcgroup-dev libboost-dev libtomlplusplus-dev libcli11-dev nlohmann-json3-dev libslurm-dev
 slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge busybox-static squashfs-tools iproute2 procps
 bsdutils util-linux mmdebstrap strace perl-base clang clang-format clang-tidy bubblewrap groff-base qemu-system-x86 qemu-system-common
 qemu-utils ovmf kmod e2fsprogs cgroup-tools libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients libvirt-dev ebtables iptables
 nftables libnftnl-dev libmnl-dev libpugixml-dev libarchive-dev libssl-dev openssh-client openssh-server bats bats-assert bats-support"
# What images/build needs.
image_packages="mmdebstrap busybox-static kmod cpio zstd e2fsprogs qemu-utils fdisk dosfstools mtools grub-common
 grub-pc-bin grub-efi-amd64-bin"

install_dependencies() {
  local package missing=''
  for package in $dependency_packages; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=" $package"
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    echo "missing packages:$missing" >&2
    echo "install them as root: apt-get install --no-install-recommends$missing" >&2
    return 1
  fi
  echo "installing$missing"
  apt-get update -qq -o Acquire::Retries=3
  # A package's own daemons must not start: everything here runs instances of its own.
  local status=0
  (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
      trap 'rm -f $policy' EXIT
      trap 'exit 130' INT TERM HUP
      printf '#!/bin/sh\nexit 101\n' >$policy
      chmod 755 $policy
    fi
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Acquire::Retries=3 --no-install-recommends $missing >/dev/null
  ) || status=$?
  return $status
}
