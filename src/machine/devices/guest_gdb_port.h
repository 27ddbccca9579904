// Port 0x224: bytes between a debug stub inside the guest and a debugger outside (option -g). Its
// registers are bhyve's: 2 bytes read the signature, 4 bytes read a byte or -1, 4 bytes write one.
// A data access waits for a client, and waits again after each disconnect. Owned by Machine.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>

#include "machine/bus/bus.h"
#include "machine/bus/byte_sink.h"
#include "machine/bus/device.h"

namespace ringside::machine {

class GuestGdbPort final : public Device, public WidePorts {
 public:
  static constexpr std::uint16_t kPort = 0x224, kSignature = 0x4256;
  static constexpr std::size_t kBuffer = 4096;

  // `taken` is called when the guest has taken all that had come.
  GuestGdbPort(hypervisor::CpuPort& cpus, std::function<void()> wants_client, ByteSink sink,
               std::function<void()> taken = nullptr)
      : cpus_(cpus),
        wants_client_(std::move(wants_client)),
        sink_(std::move(sink)),
        taken_(std::move(taken)) {}

  // How many bytes may wait for the guest: a bound on what a client that floods can hold.
  std::size_t room() const { return kBuffer - std::min(kBuffer, received_.size()); }
  void receive(std::span<const std::byte> bytes);
  void set_connected(bool connected);

  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  bool only_below_wait(unsigned vcpu) const { return vcpu >= 64 || waiting_ >> vcpu == 0; }
  Access read_port(const PortAccess& access, std::uint32_t& value) override;
  std::uint32_t peek_port(const PortAccess& access) const override;
  Access write_port(const PortAccess& access, std::uint32_t value) override;

 private:
  Access wait(VcpuId vcpu);

  hypervisor::CpuPort& cpus_;
  std::function<void()> wants_client_;
  ByteSink sink_;
  std::function<void()> taken_;
  std::deque<std::uint8_t> received_;
  std::uint64_t waiting_ = 0;  // one bit per vCPU
  std::uint8_t connected_ = 0;
};

}  // namespace ringside::machine
