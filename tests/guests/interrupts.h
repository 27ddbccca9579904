/* Interrupts of devices, for guests whose DEFINES have INTERRUPTS, the vector at which c_entry.S
   calls `on_interrupt`. The first vCPU takes them while it sleeps, and not otherwise. */
#pragma once

#include "guest.h"

#define LOCAL_APIC 0xfee00000ul
#define IO_APIC 0xfec00000ul

enum trigger { kEdge = 0, kLevel = 1 << 15 };

void on_interrupt(void);

static inline void sleep(void) { __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory"); }

/* The pin interrupts the first vCPU (82093AA data sheet, 3.2.4). */
static inline void route_pin(unsigned pin, enum trigger trigger) {
  volatile uint32_t* io_apic = (volatile uint32_t*)IO_APIC;
  io_apic[0] = 0x11 + 2 * pin;
  io_apic[4] = 0;
  io_apic[0] = 0x10 + 2 * pin;
  io_apic[4] = trigger | INTERRUPTS;
}

static inline void mask_pin(unsigned pin) {
  volatile uint32_t* io_apic = (volatile uint32_t*)IO_APIC;
  io_apic[0] = 0x10 + 2 * pin;
  io_apic[4] = 1 << 16;
}
