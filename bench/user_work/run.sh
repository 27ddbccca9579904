# A user's work in the guest: `sh /user_work/run.sh PART...`. Marks on the console tell whoever measures from
# outside when a part begins and ends; then follows a digest of what it has made, the same on every
# machine. The parts from python on are Debian's programs, on the disk /dev/vda; sqlite's data base is on
# /dev/vdb.
numbers=/tmp/numbers

# Between the marks there is only what is measured.
part() {
  prepare_"$1"
  echo "BEGIN $1"
  do_"$1" >/tmp/result 2>/tmp/errors
  echo "END $1 status $?"
  cat /tmp/errors
  echo "DIGEST $1 $(md5sum </tmp/result)"
}
# Repeats a command.
repeat() {
  left=$1
  shift
  while [ "$left" -gt 0 ]; do
    "$@" || return 1
    left=$((left - 1))
  done
}
on_disk() { chroot /disk /usr/bin/env -i PATH=/usr/bin:/bin HOME=/tmp LC_ALL=C "$@"; }

prepare_sha256() { repeat 15 cat $numbers >/tmp/many; }
do_sha256() { sha256sum </tmp/many; }

prepare_gzip() { rm /tmp/many; }
do_gzip() { gzip -c <$numbers && gzip -9 -c <$numbers; }

prepare_awk() { head -n 150000 $numbers >/tmp/few; }
do_awk() {
  awk '{ count[$1 % 997] += $1; text = text substr($1, 2, 1) }
    length(text) > 60 { gsub(/[13]/, "-", text); lines[text]++; text = "" }
    END { for (i = 0; i < 997; i++) sum += count[i] * i; for (line in lines) n++; print sum, n }' /tmp/few
}

prepare_sort() { tail -n 200000 $numbers >/tmp/few; }
do_sort() { sort -k1.4 /tmp/few; }

# Not the shell's own `true`.
prepare_forks() { :; }
do_forks() { repeat 300 /bin/true; }

prepare_files() { mkdir /tmp/files; }
one_file() {
  echo "this is file $left" >/tmp/files/"$left" && cat /tmp/files/"$left" && rm /tmp/files/"$left"
}
do_files() { repeat 300 one_file; }

prepare_python() { cp /user_work/work.py /disk/tmp; }
do_python() { on_disk python3.11 -S /tmp/work.py; }

prepare_openssl() { repeat 3 cat $numbers >/disk/tmp/numbers; }
do_openssl() {
  on_disk openssl dgst -sha256 /tmp/numbers &&
    on_disk openssl enc -aes-128-cbc -K 000102030405060708090a0b0c0d0e0f \
      -iv 00112233445566778899aabbccddeeff -in /tmp/numbers
}

prepare_gcc() { awk -f /user_work/make-c.awk >/disk/tmp/work.c; }
do_gcc() { on_disk gcc -O2 -c -o /tmp/work.o /tmp/work.c && cat /disk/tmp/work.o; }

prepare_sqlite() {
  mkdir /disk/tmp/data
  mount -t ext4 /dev/vdb /disk/tmp/data
  cp /user_work/work.sql /disk/tmp
}
do_sqlite() { on_disk sqlite3 /tmp/data/work.db '.read /tmp/work.sql'; }

seq 1 700000 >$numbers
for module in virtio_ring virtio virtio_mmio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk; do
  insmod /modules/$module.ko
done
mkdir /disk
if mount -r -t ext4 /dev/vda /disk; then
  mount --bind /dev /disk/dev
  mount -t tmpfs tmp /disk/tmp
fi
for name in "$@"; do part "$name"; done
