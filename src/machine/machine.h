// The PC around the CPUs: memory map, I/O bus, interrupt controllers, timers, serial ports. Owned
// by the program; outlives the engine's calls into it. It has no clock of its own: time is
// CpuPort::now.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/state_visitor.h"
#include "machine/bus/byte_sink.h"
#include "machine/bus/platform_map.h"
#include "machine/display/text_card.h"
#include "machine/firmware/firmware_kernel.h"
#include "machine/network/virtio_net.h"
#include "machine/storage/block_backend.h"
#include "machine/storage/disk_witness.h"
#include "platform/controllers.h"
#include "platform/guest_ram.h"
#include "platform/platform.h"
#include "ringside/types.h"

namespace ringside::machine {

// Dates are seconds since 1970, UTC. The clock's registers count years up to 9999.
inline constexpr std::int64_t kUsualDate = 1704067200;  // 2024-01-01
inline constexpr std::int64_t kLastDate = 253402300799;

// What the guest's network card sends, a frame at a time (network/frame.h says how large).
struct NetworkCard {
  MacAddress address{};
  ByteSink out;
};

// The entropy device, whose bytes are inputs.
struct RandomDevice {};

// The virtio console (hvc0), beside the serial ports.
struct ConsoleDevice {
  ByteSink out;  // empty: bytes are dropped
};

// Sockets between the guest and the host (vsock). The sink gets a packet at a time, or nothing: the
// guest has forgotten all connections.
struct VsockDevice {
  std::uint32_t guest_cid = 0;
  ByteSink out;
};

// A folder that a file server outside the machine shares with the guest, by 9P.
struct SharedFolder {
  std::string tag;  // the guest mounts it by this name
  ByteSink requests;
};

// Whether the machine sleeps (ACPI S3), and whether its own clock wakes it.
enum class Sleep : std::uint8_t { Awake, Asleep, AsleepUntilAlarm };

struct MachineOptions {
  unsigned vcpus = 1;
  std::int64_t start_time = kUsualDate;  // of the clock at power-on
  bool debug_exit = false;               // port 0xf4
  bool test_device = false;              // of test suites (devices/test_device.h)
  ByteSink serial[2];                    // COM1, COM2; empty: bytes are dropped
  ByteSink debugcon;                     // ports 0x402 and 0xe9; empty: the ports do not exist
  bool guest_gdb = false;                // port 0x224 (-g)
  std::function<void()> guest_gdb_wants_client;  // the guest waits for a debugger on -g
  ByteSink guest_gdb_out;
  // A device has taken the last byte of input: there is room for more, or it asks for some. Called
  // on the thread that runs the vCPU, with the machine locked.
  std::function<void()> input_taken;
  // Virtio devices, in this order; at most kMaxVirtioDevices (platform_map.h) in all. The boot
  // loader must be told their number and bus, for the ACPI tables.
  std::vector<std::shared_ptr<BlockBackend>> disks;
  std::optional<NetworkCard> network;
  std::vector<SharedFolder> shares;
  std::optional<RandomDevice> random;
  // The last ones: they wait for their sinks' room, and which device works next is not to depend on
  // that.
  std::optional<VsockDevice> vsock;
  std::optional<ConsoleDevice> console;
  // A VGA card in text mode, whose memory is in the guest's RAM already.
  bool text_card = false;
  std::string video_bios;  // an option ROM that firmware finds for it
  // There is no such card, and the guest has written to where its memory would be. Called as
  // input_taken is.
  std::function<void()> text_was_lost;
  VirtioBus virtio_bus = VirtioBus::Mmio;
  // Flash memory right below the firmware, which is in memory already; null: there is none.
  std::shared_ptr<BlockBackend> firmware_vars;
  // PCI functions have no addresses at the start: firmware will give them some. Otherwise they are
  // as firmware leaves them.
  bool has_firmware = false;
  FirmwareKernel firmware_kernel;  // that it finds in its configuration
  // The machine has fallen asleep, or wakes. Called as input_taken is.
  std::function<void()> sleep_changed;
};

// Outside input, the only way in. The main loop applies it between slices (and journals it).
struct SerialInput {
  unsigned port = 0;  // 0: COM1, 1: COM2
  std::vector<std::byte> bytes;
};
struct GuestGdbInput {
  std::vector<std::byte> bytes;
};
struct GuestGdbConnection {
  bool connected = false;
};

// A frame for the guest's network card.
struct NetworkInput {
  std::vector<std::byte> bytes;
};
// What the file server of a shared folder answers. In the order of the requests, one for each.
struct ShareInput {
  unsigned share = 0;
  std::vector<std::byte> bytes;
};

// What is typed at the virtio console.
struct ConsoleInput {
  std::vector<std::byte> bytes;
};
// Keys that are pressed and released at the keyboard, as scan codes of set 1.
struct KeyInput {
  std::vector<std::byte> bytes;
};
// A packet for the guest's sockets, or nothing: all connections are forgotten.
struct VsockInput {
  std::vector<std::byte> bytes;
};
// Random numbers for the entropy device, which has asked for as many at most.
struct RandomInput {
  std::vector<std::byte> bytes;
};

class Machine final : public hypervisor::Platform {
 public:
  Machine(hypervisor::GuestRam& ram, MachineOptions options);
  ~Machine() override;

  // Before the first instruction; the port must outlive the machine's use, and so must the views,
  // which an engine with interrupt controllers of its own has.
  void connect(hypervisor::CpuPort& cpus, hypervisor::ControllerViews* views = nullptr);

  // Bytes that COM `port` can take now; the main loop stops reading its source at 0.
  std::size_t serial_room(unsigned port) const;
  // The same of the guest's debug port.
  std::size_t guest_gdb_room() const;
  // The same of the virtio console. 0 where there is none.
  std::size_t console_room() const;
  // Scan codes that the keyboard can take now; 0: the guest has not read the last ones.
  std::size_t keyboard_room() const;
  // How many random bytes the guest waits for; 0: it does not.
  std::size_t random_wanted() const;
  // A frame can be kept until the guest takes it. False where there is no card.
  bool network_has_room() const;
  // The same of a packet for the guest's sockets.
  bool vsock_has_room() const;
  // The tag of a shared folder of which the guest may have files open, or nothing.
  std::optional<std::string> share_in_use() const;
  void input(const SerialInput& input);
  void input(const GuestGdbInput& input);
  void input(const GuestGdbConnection& input);
  void input(const NetworkInput& input);
  void input(const ShareInput& input);
  void input(const ConsoleInput& input);
  void input(const KeyInput& input);
  void input(const VsockInput& input);
  void input(const RandomInput& input);

  // What firmware finds from the next reset on instead of MachineOptions::firmware_kernel.
  void set_firmware_kernel(FirmwareKernel kernel);

  // Who is told what becomes of the disks, or null. Before the first instruction.
  void set_disk_witness(DiskWitness* witness);

  // A device's work waits for room in a sink. awaits_input() is true meanwhile, but what is missing
  // is no input.
  bool awaits_room() const;
  // A sink that was full no longer is.
  void output_has_room();

  // How the text card would show its memory. Nothing where there is none.
  std::optional<TextScreen> text_screen() const;

  // The interrupt controllers in words.
  std::string describe_local_apic(VcpuId vcpu) const;
  std::string describe_io_apic() const;
  std::string describe_pics() const;
  // What lies where, and the devices with their places and lines.
  std::string describe_memory_map() const;
  std::string describe_devices() const;

  // What the guest's IN would give now, from the devices' state; changes nothing.
  std::uint32_t port_peek(VcpuId, std::uint16_t port, unsigned width) const;

  // The same where an engine may have some controllers itself: nothing for those of its that cannot
  // be looked at.
  std::optional<std::uint32_t> look_at_port(VcpuId, std::uint16_t port, unsigned width) const;

  // From outside, and not in the journal. A non-maskable interrupt as from another processor (SDM
  // 3A 11.6.1), which no entry of a local vector table holds back.
  void send_nmi(VcpuId vcpu);
  // The power button of ACPI, which wakes a machine that sleeps. False: the guest has not enabled
  // it, so nothing will come of it.
  bool press_power_button();
  Sleep sleep() const;
  // Whether that button would wake it. The error says that it does not sleep.
  Result<void> check_asleep() const;

  // Power-on state of all devices; RAM stays.
  void reset();
  void visit_state(StateVisitor& visitor);
  // A figure of each device's part of that, by name, in the same order in every such machine.
  std::vector<std::pair<std::string, std::uint64_t>> hash_devices();

  // Platform
  hypervisor::Access port_read(VcpuId, std::uint16_t port, unsigned width,
                               std::uint32_t& value) override;
  hypervisor::Access port_write(VcpuId, std::uint16_t port, unsigned width,
                                std::uint32_t value) override;
  bool takes_write(VcpuId, std::uint16_t port, unsigned width) override;
  bool mmio_read(VcpuId, Gpa address, unsigned width, std::uint64_t& value) override;
  bool mmio_write(VcpuId, Gpa address, unsigned width, std::uint64_t value) override;
  bool mmio_peek(VcpuId, Gpa address, unsigned width, std::uint64_t& value) const override;
  bool is_mmio(Gpa address) const override;
  std::optional<std::uint8_t> acknowledge_interrupt(VcpuId vcpu) override;
  std::optional<std::uint8_t> peek_interrupt(VcpuId vcpu) const override;
  std::uint8_t task_priority(VcpuId vcpu) override;
  void set_task_priority(VcpuId vcpu, std::uint8_t priority) override;
  bool apic_msr_read(VcpuId vcpu, std::uint32_t msr, std::uint64_t& value) override;
  bool apic_msr_write(VcpuId vcpu, std::uint32_t msr, std::uint64_t value) override;
  VirtualTime next_event() const override;
  void run_events(VirtualTime now) override;
  bool has_work() const override;
  hypervisor::WorkPart work() override;
  bool awaits_input() const override;

 private:
  struct Parts;
  class Lock;
  std::unique_ptr<Parts> parts_;
};

}  // namespace ringside::machine
