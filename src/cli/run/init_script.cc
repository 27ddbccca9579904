#include "cli/run/init_script.h"

namespace ringside::cli {

// What fails is said and left out: a kernel that lacks something still has a shell.
const std::string_view kInitScript = R"sh(#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root TERM=linux
say() { echo "init: $*"; }
mount -t proc proc /proc || say "the kernel has no CONFIG_PROC_FS"
mount -t sysfs sys /sys || say "the kernel has no CONFIG_SYSFS"
mount -t devtmpfs dev /dev || say "the kernel has no CONFIG_DEVTMPFS: /dev has a few devices alone"
mount -t tmpfs tmp /tmp 2>/dev/null
. /etc/ringside

while read -r module; do
  insmod "/modules/$module.ko" || say "the module $module cannot be loaded"
done </modules/order
[ ! -c "/dev/$console" ] || exec <"/dev/$console" >"/dev/$console" 2>&1

start=/root
for tag in $shares; do
  mkdir -p "/mnt/$tag"
  if mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 "$tag" "/mnt/$tag"; then
    say "the folder $tag is at /mnt/$tag"
    [ $start != /root ] || start=/mnt/$tag
  else
    say "the folder $tag is not there: the kernel lacks 9P (CONFIG_NET_9P_VIRTIO, CONFIG_9P_FS) or virtio, or its modules were not found"
  fi
done

ip link set lo up 2>/dev/null
if [ "$network" ]; then
  if ip link set eth0 up 2>/dev/null; then
    udhcpc -i eth0 -n -q >/dev/null 2>&1 || say "eth0 got no address (does the kernel have CONFIG_PACKET?)"
  else
    say "there is no eth0: the kernel lacks CONFIG_VIRTIO_NET or virtio, or its modules were not found"
  fi
fi

cd $start
say "a shell; exit switches the machine off"
export PS1='\w # '
setsid cttyhack sh
sync
umount -a -r 2>/dev/null
poweroff -f
)sh";

const std::string_view kLeaseScript = R"sh(#!/bin/busybox sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
ip route add default via "$router"
hostname "$hostname"
echo "nameserver $dns" >/etc/resolv.conf
)sh";

}  // namespace ringside::cli
