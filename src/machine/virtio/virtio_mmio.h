// The virtio MMIO transport, version 2 (virtio 1.2, 4.2). Owned by Machine.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/bus/interrupt_line.h"
#include "machine/virtio/virtio_facilities.h"
#include "machine/virtio/virtio_transport.h"

namespace ringside::machine {

class VirtioMmio final : public Device,
                         public MmioDevice,
                         public VirtioTransport,
                         private VirtioInterrupts {
 public:
  VirtioMmio(VirtioDevice& device, DmaMemory memory, InterruptLine interrupt,
             hypervisor::CpuPort& cpus)
      : interrupt_(interrupt), facilities_(device, *this, memory, cpus) {}

  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  // No read has an effect: interrupts are acknowledged by a write.
  std::uint64_t read_mmio(const MmioAccess& access) override { return peek_mmio(access); }
  std::uint64_t peek_mmio(const MmioAccess& access) const override;
  void write_mmio(const MmioAccess& access, std::uint64_t value) override;

  bool has_work() const override { return facilities_.has_work(); }
  bool awaits_input() const override { return facilities_.awaits_input(); }
  bool awaits_room() const override { return facilities_.awaits_room(); }
  hypervisor::WorkPart work() override { return facilities_.work(); }
  void input_came() override { facilities_.input_came(); }
  void on_failure(std::function<void()> failed) override {
    facilities_.on_failure(std::move(failed));
  }

 private:
  std::uint32_t read_register(std::uint64_t offset) const;
  void write_register(std::uint64_t offset, std::uint32_t value);
  void queue_used(unsigned queue) override;
  void configuration_changed() override;
  void set_interrupts(std::uint32_t reasons);

  InterruptLine interrupt_;
  VirtioFacilities facilities_;
  std::uint32_t interrupt_status_ = 0;
};

}  // namespace ringside::machine
