// Starts another kernel, which unpacks and moves itself (KASLR): kexec FILE COMMAND-LINE. It gets
// no initramfs, so that it ends where it finds no root file system.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int kernel = open(argv[1], O_RDONLY);
  if (kernel < 0) {
    perror(argv[1]);
    return 1;
  }
  if (syscall(SYS_kexec_file_load, kernel, -1, strlen(argv[2]) + 1, argv[2],
              KEXEC_FILE_NO_INITRAMFS) != 0) {
    perror("kexec_file_load");
    return 1;
  }
  syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, 0);
  perror("reboot");
  return 1;
}
