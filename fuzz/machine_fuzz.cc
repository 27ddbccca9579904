// Arbitrary lines as what a client does to a debug server with a whole machine behind it: devices,
// the software CPU, and a guest that runs. Whatever the client did, nothing of it may be left when
// it has gone.
//
// The first byte says which guest, how many vCPUs, and how far the guest is; see script.h for the
// lines, and play() for events. In a packet `@` stands for the number of vCPU 0's RIP, where the
// guest has come by when the client connects.
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/monitor/monitor_commands.h"
#include "debug/server/server.h"
#include "engine/soft/soft_vm.h"
#include "machine/boot/boot.h"
#include "machine/machine.h"
#include "platform/guest_ram.h"
#include "script.h"

namespace {

using namespace ringside;
using fuzz::check;

struct Image {
  explicit Image(const char* name) : path(std::string(RINGSIDE_GUESTS "/") + name + ".elf") {
    std::ifstream stream(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    const auto view = std::as_bytes(std::span(text));
    bytes.assign(view.begin(), view.end());
    check(!bytes.empty());
  }
  std::string path;
  std::vector<std::byte> bytes;
};

const Image& image_of(unsigned kind) {
  static const Image images[] = {Image("counters"), Image("interrupts"), Image("spaces"),
                                 Image("protected32")};
  return images[kind % std::size(images)];
}

// Ends the program on an error: what is set up here always works.
template <typename T>
T must(Result<T> result) {
  check(result.has_value());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

class Scene {
 public:
  explicit Scene(unsigned kind)
      : image_(image_of(kind)),
        vcpus_((kind & 0x08) != 0 ? 2 : 1),
        ram_(must(hypervisor::GuestRam::create(4 << 20))),
        machine_(ram_, machine_options()) {
    const x86::CpuState entry = load();
    engine_ = soft::create(ram_, machine_, entry, soft::Options{vcpus_, 0});
    machine_.connect(*engine_);
    debug::ServerOptions options;
    options.wait = (kind & 0x10) != 0;
    if ((kind & 0x20) != 0) options.on_kill = debug::OnKill::Stop;
    if ((kind & 0x40) != 0) options.breakpoints = debug::BreakpointMechanism::Int3;
    cli::add_machine_commands(options,
                              {machine_, ram_, vcpus_, [] { return std::string("engine: soft"); },
                               [this] { return reset(); }, [this] { return wake_up(); }});
    server_.emplace(*engine_, options);
    server_->start();
    run((kind & 0x80) != 0 ? 0 : 12);
    server_->on_connected();
    fuzz::send_packet(*server_, "?");
    run(1);
    const auto rip = engine_->vcpu({0}).read_register(x86::Register::Rip);
    if (rip) place_ = fmt::format("{:x}", rip->as_u64());
    fuzz::take_output(*server_);
  }

  void play(std::string_view line) {
    if (line.empty()) return;
    const unsigned operand = line.size() > 1 ? static_cast<unsigned char>(line[1]) : 0;
    switch (line[0]) {
      case 1:
        return run(1 + operand % 16);
      case 2:
        return fuzz::send_raw(*server_, "\x03");
      case 3:
        server_->on_disconnected();
        return server_->on_connected();
      case 4:
        return type(static_cast<std::byte>(operand));
      case fuzz::kMonitor:
        return fuzz::send_monitor(*server_, with_place(line.substr(1)));
      case fuzz::kRaw:
        return fuzz::send_raw(*server_, line.substr(1));
      default:
        return fuzz::send_packet(*server_, with_place(line));
    }
  }

  // Rounds of the program's loop, without its sockets and clocks, and with short slices.
  void run(unsigned rounds) {
    constexpr std::uint64_t kSlice = 500;
    for (unsigned i = 0; i < rounds && !engine_->ended(); ++i) {
      engine_->stop_at(InsnCount{engine_->total_instructions().value + kSlice});
      if (!engine_->run_slice()) {
        const auto idle = engine_->idle_until();
        if (idle && *idle != kNever) engine_->advance_to(*idle);
      }
      server_->drain_events();
    }
  }

  void leave() {
    fuzz::take_output(*server_);
    server_->on_disconnected();
    run(2);
    // Commands that persist are all that a client can leave, and the next one can end them.
    server_->on_connected();
    fuzz::send_monitor(*server_, "forget");
    fuzz::take_output(*server_);
    server_->on_disconnected();
    run(2);
    server_->on_connected();
    fuzz::send_monitor(*server_, "breakpoints");
    run(2);
    const bool nothing_is_left =
        server_->output().find(to_hex("No breakpoints")) != std::string_view::npos;
    check(nothing_is_left || engine_->ended());
    server_->on_disconnected();
    run(2);
  }

  void take_output() { fuzz::take_output(*server_); }

 private:
  machine::MachineOptions machine_options() const {
    machine::MachineOptions options;
    options.vcpus = vcpus_;
    options.debug_exit = true;
    return options;
  }
  x86::CpuState load() {
    machine::BootRequest request;
    request.kernel_name = image_.path;
    request.kernel = image_.bytes;
    request.vcpus = vcpus_;
    return must(machine::boot(request, ram_)).entry;
  }
  Result<std::string> reset() {
    machine_.reset();
    TRY(engine_->reset(load()));
    server_->machine_was_reset();
    return std::string("reset\n");
  }
  Result<void> wake_up() {
    TRY(machine_.check_asleep());
    machine_.press_power_button();
    return {};
  }
  void type(std::byte byte) {
    if (machine_.serial_room(0) > 0) machine_.input(machine::SerialInput{0, {byte}});
  }
  std::string with_place(std::string_view line) const {
    std::string text;
    for (const char c : line) {
      if (c == '@') {
        text += place_;
      } else {
        text += c;
      }
    }
    return text;
  }

  const Image& image_;
  const unsigned vcpus_;
  hypervisor::GuestRam ram_;
  machine::Machine machine_;
  std::unique_ptr<soft::SoftEngine> engine_;
  std::optional<debug::Server> server_;
  std::string place_ = "100000";
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::run_script<Scene>(data, size);
  return 0;
}
