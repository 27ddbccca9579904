/* For the kernel inside Bochs: a hundred NMIs a second, from the 8254's channel 0 through the I/O
   APIC. They are there because Bochs 2.7 forgets external interrupts while a guest runs that was
   entered with its interrupts off: such a guest would keep the processor for ever, and the host's
   timer could not stop it. An NMI does leave the guest, and then the interrupts that wait are
   taken. The kernel says that it does not know these NMIs, which is why it has no console there.
   Needs root, iomem=relaxed and hpet=disable. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/io.h>
#include <sys/mman.h>

enum { IO_APIC = 0xfec00000, TIMER_PIN = 2, NMI_DELIVERY = 4 << 8, DIVISOR = 1193182 / 100 };

int main(void) {
  const int memory = open("/dev/mem", O_RDWR | O_SYNC);
  if (memory < 0) {
    perror("/dev/mem");
    return 1;
  }
  volatile uint32_t* io_apic = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, IO_APIC);
  if (io_apic == MAP_FAILED || iopl(3) != 0) {
    perror("the I/O APIC");
    return 1;
  }
  outb(0x34, 0x43); /* channel 0, low and high byte, mode 2 */
  outb(DIVISOR & 0xff, 0x40);
  outb(DIVISOR >> 8, 0x40);
  io_apic[0] = 0x11 + 2 * TIMER_PIN; /* destination: APIC 0 */
  io_apic[4] = 0;
  io_apic[0] = 0x10 + 2 * TIMER_PIN;
  io_apic[4] = NMI_DELIVERY;
  return 0;
}
