// The virtio PCI transport, without what is older than virtio 1.0 (virtio 1.2, 4.1). Owned by
// Machine.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "machine/pci/msix.h"
#include "machine/pci/pci_function.h"
#include "machine/virtio/virtio_facilities.h"
#include "machine/virtio/virtio_transport.h"

namespace ringside::machine {

class VirtioPci final : public PciFunction, public VirtioTransport, private VirtioInterrupts {
 public:
  // Messages go to `messages`, where the guest has switched them on, and `line` is used elsewhere.
  VirtioPci(VirtioDevice& device, DmaMemory memory, InterruptLine line, MessageSink& messages,
            hypervisor::CpuPort& cpus);

  void reset() override;
  void visit_state(StateVisitor& visitor) override;

  std::uint32_t read_configuration(unsigned offset, unsigned width) override;
  std::uint32_t peek_configuration(unsigned offset, unsigned width) const override;
  void write_configuration(unsigned offset, unsigned width, std::uint32_t value) override;

  // Reading the interrupt status takes it away; no other read has an effect.
  std::uint64_t read_bar(unsigned bar, const MmioAccess& access) override;
  std::uint64_t peek_bar(unsigned bar, const MmioAccess& access) const override;
  void write_bar(unsigned bar, const MmioAccess& access, std::uint64_t value) override;

  bool has_work() const override { return is_master() && facilities_.has_work(); }
  bool awaits_input() const override { return facilities_.awaits_input(); }
  bool awaits_room() const override { return facilities_.awaits_room(); }
  hypervisor::WorkPart work() override { return facilities_.work(); }
  void input_came() override { facilities_.input_came(); }
  void on_failure(std::function<void()> failed) override {
    facilities_.on_failure(std::move(failed));
  }

 private:
  static constexpr std::uint16_t kNoVector = 0xffff;
  struct State {
    std::array<std::uint16_t, VirtioFacilities::kMaxQueues> queue_vectors{};
    std::uint16_t configuration_vector = kNoVector;
    std::uint16_t interrupt_status = 0;
  };
  static_assert(std::has_unique_object_representations_v<State>);

  void add_capabilities();
  void add_structure(std::uint8_t kind, std::uint32_t offset, std::uint32_t size);
  void reset_device();
  std::uint64_t read_common(std::uint64_t offset, unsigned width) const;
  void write_common(std::uint64_t offset, unsigned width, std::uint32_t value);
  std::uint16_t vector_of(std::uint32_t value) const;
  void notify(std::uint32_t queue);

  // The part of memory that the capability for access by configuration space names, where an access
  // at `offset` is one to its data.
  struct Window {
    unsigned bar = 0;
    MmioAccess access;
  };
  std::optional<Window> window(unsigned offset, unsigned width) const;

  std::uint32_t msix_control() const;
  bool sends_messages() const { return (msix_control() & Msix::kEnable) != 0; }
  Msix::Gate gate() const;
  void queue_used(unsigned queue) override;
  void configuration_changed() override;
  void interrupt(std::uint32_t reason, std::uint16_t vector);
  void update();

  hypervisor::CpuPort& cpus_;
  VirtioFacilities facilities_;
  Msix msix_;
  unsigned msix_capability_ = 0, access_capability_ = 0;
  State state_;
};

}  // namespace ringside::machine
