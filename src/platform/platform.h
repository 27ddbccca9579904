// The seam between CPUs and the rest of the PC. An engine drives the machine through Platform; the
// machine's devices act on the CPUs through CpuPort. Neither knows what is behind the other.
//
// Threads: the software CPU calls on the one main thread. KVM calls from its vCPU threads; the
// machine serialises them itself.
#pragma once

#include <cstdint>
#include <optional>

#include "ringside/exit.h"
#include "ringside/types.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::hypervisor {

// What a device access can answer besides a value.
enum class Access : std::uint8_t {
  Done,
  // The device cannot answer yet (the guest-side debug port without a client). The engine undoes
  // the instruction and does not run the vCPU until CpuPort::retry(vcpu).
  Wait,
};

// What came of one part of a device's work.
enum class WorkPart : std::uint8_t {
  Done,
  // The host is not ready: nothing of the machine has changed. It is to be asked again.
  Waits,
};

class Platform {
 public:
  virtual ~Platform() = default;

  // Port I/O; width is 1, 2 or 4. Nothing there: reads are all ones, writes vanish.
  virtual Access port_read(VcpuId vcpu, std::uint16_t port, unsigned width,
                           std::uint32_t& value) = 0;
  virtual Access port_write(VcpuId vcpu, std::uint16_t port, unsigned width,
                            std::uint32_t value) = 0;
  // Asked before an OUT is executed. False: what it sends to the host cannot be taken yet, and it
  // is not to be executed before CpuPort::retry(vcpu). That this wait is the host's doing, an
  // engine may hide from the guest: no time need pass in it.
  virtual bool takes_write(VcpuId /*vcpu*/, std::uint16_t /*port*/, unsigned /*width*/) {
    return true;
  }
  // Memory-mapped I/O; width is 1, 2, 4 or 8, not crossing an 8-byte boundary. False: no device
  // claims the address (reads give all ones, writes vanish for the guest; E0e for a debugger).
  virtual bool mmio_read(VcpuId vcpu, Gpa address, unsigned width, std::uint64_t& value) = 0;
  virtual bool mmio_write(VcpuId vcpu, Gpa address, unsigned width, std::uint64_t value) = 0;
  // What mmio_read would give now, from the devices' state: for a debugger. No guest can notice
  // that it was asked. False: no device claims the address.
  virtual bool mmio_peek(VcpuId vcpu, Gpa address, unsigned width, std::uint64_t& value) const = 0;
  // Whether a device claims the address; no side effect.
  virtual bool is_mmio(Gpa address) const = 0;

  // Interrupts, for engines without an interrupt controller of their own. The vector to deliver, or
  // nothing when the request went away meanwhile.
  virtual std::optional<std::uint8_t> acknowledge_interrupt(VcpuId vcpu) = 0;
  // What acknowledge_interrupt() would give now, from the controllers' state: for a debugger. No
  // guest can notice that it was asked.
  virtual std::optional<std::uint8_t> peek_interrupt(VcpuId /*vcpu*/) const { return std::nullopt; }
  virtual std::uint8_t task_priority(VcpuId vcpu) = 0;  // CR8
  virtual void set_task_priority(VcpuId vcpu, std::uint8_t priority) = 0;
  // IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC range. False: #GP(0).
  virtual bool apic_msr_read(VcpuId vcpu, std::uint32_t msr, std::uint64_t& value) = 0;
  virtual bool apic_msr_write(VcpuId vcpu, std::uint32_t msr, std::uint64_t value) = 0;

  // Time. The earliest moment at which a device wants to run, and running all that is due.
  virtual VirtualTime next_event() const = 0;
  virtual void run_events(VirtualTime now) = 0;

  // What the guest has asked of a device with one access may be more than an access can take (a
  // disk from end to end, 256 times). The device does the rest in parts of bounded size. In an
  // engine whose run can be repeated no vCPU executes an instruction, and no time passes, before it
  // is all done. Between two parts a debugger may stop the guest, which is then between two
  // instructions, and what is left of the work is the device's state.
  virtual bool has_work() const { return false; }
  virtual WorkPart work() { return WorkPart::Done; }
  // There is work, and none of it goes on before something comes from outside: work() is not to be
  // called until then, which CpuPort::deadline_moved() tells.
  virtual bool awaits_input() const { return false; }
};

// What devices may do to CPUs and engine. Implemented by each engine.
class CpuPort {
 public:
  virtual ~CpuPort() = default;
  virtual VirtualTime now() const = 0;
  // next_event() has become earlier, or there is work.
  virtual void deadline_moved() = 0;
  // The level of the CPU's INTR pin: an interrupt above the task priority is pending.
  virtual void set_interrupt_pin(VcpuId vcpu, bool level) = 0;
  virtual void non_maskable_interrupt(VcpuId vcpu) = 0;
  virtual void init(VcpuId vcpu) = 0;
  virtual void start_up(VcpuId vcpu, std::uint8_t vector) = 0;
  // A device that answered Access::Wait may answer now; what did not take a write may take it.
  virtual void retry(VcpuId vcpu) = 0;
  virtual void set_a20(bool enabled) = 0;
  // A device (DMA) is about to change RAM; and a device or a loader has changed it.
  virtual void ram_about_to_change(Gpa /*address*/, std::uint64_t /*size*/) {}
  virtual void ram_written(Gpa address, std::uint64_t size) = 0;
  // The guest says that it has panicked, with an access of `vcpu`'s that is under way. Engines that
  // cannot stop for it end the machine.
  virtual void guest_panicked(VcpuId vcpu, const char* reason) {
    end({VmEnd::Kind::Error, 0, reason, vcpu});
  }
  // The machine ends; no vCPU runs another instruction after the current one.
  virtual void end(VmEnd end) = 0;

  // For engines that have APICs, 8259s and the 8254 themselves; the machine's then see neither an
  // access nor a line, and stand idle. A device's line has got this level; false: the engine has no
  // controllers.
  virtual bool interrupt_line(unsigned /*line*/, bool /*asserted*/) { return false; }
  // The same of a message-signalled interrupt: a device's write of `data` (SDM 3A 11.11).
  virtual bool interrupt_message(std::uint64_t /*address*/, std::uint32_t /*data*/) {
    return false;
  }

  // The processors lose their power (ACPI S3), when the current instruction is over: the boot
  // processor sleeps, with its registers as they are for who looks at them, and the others wait for
  // a start-up IPI.
  virtual void fall_asleep() = 0;
  // They have it again: all of them are as at power-on, and the boot processor starts in `entry`.
  // Never during an instruction.
  virtual void wake(const x86::CpuState& entry) = 0;
  // The HPET takes the 8254's interrupt line, or gives it back: for engines that have that one.
  virtual void replace_timer(bool /*on*/) {}
};

}  // namespace ringside::hypervisor
