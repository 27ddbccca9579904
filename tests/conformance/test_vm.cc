#include "conformance/test_vm.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "hypervisor/guest_memory.h"
#include "machine/boot/boot.h"

namespace ringside::testing {
namespace exit = hypervisor::exit;

namespace {

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TestVm::TestVm(const EngineKind& kind, std::string_view guest, unsigned vcpus)
    : image_(guest),
      vcpus_(vcpus),
      spoken_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      ram_(must(hypervisor::GuestRam::create(32 << 20))) {
  machine::MachineOptions options;
  options.vcpus = vcpus;
  options.debug_exit = true;
  options.serial[0] = [this](std::span<const std::byte> bytes) {
    hear(said_, bytes);
    ::eventfd_write(spoken_.get(), 1);
  };
  options.debugcon = [this](std::span<const std::byte> bytes) {
    if (in_debug_port_) in_debug_port_();
    hear(debug_output_, bytes);
  };
  machine_.emplace(*ram_, options);
  engine_ = kind.create(*ram_, *machine_, load(), vcpus);
}

x86::CpuState TestVm::load() {
  const std::vector<std::byte> file = read_file(image_.path());
  machine::BootRequest request;
  request.kernel_name = image_.path();
  request.kernel = file;
  request.vcpus = vcpus_;
  return must(machine::boot(request, *ram_)).entry;
}

void TestVm::reset() {
  machine_->reset();
  must(engine_->reset(load()));
  const std::lock_guard lock(said_lock_);
  said_.clear();
}

std::string TestVm::controllers() const {
  std::string text = machine_->describe_io_apic() + machine_->describe_pics();
  for (std::uint32_t i = 0; i < vcpus_; ++i)
    text += machine_->describe_local_apic({i});
  return text;
}

void TestVm::hear(std::string& ear, std::span<const std::byte> bytes) {
  const std::lock_guard lock(said_lock_);
  for (const std::byte b : bytes)
    ear += static_cast<char>(b);
}

std::string TestVm::said() const {
  const std::lock_guard lock(said_lock_);
  return said_;
}

std::string TestVm::debug_output() const {
  const std::lock_guard lock(said_lock_);
  return debug_output_;
}

void TestVm::type(char c) { machine_->input(machine::SerialInput{0, {static_cast<std::byte>(c)}}); }

bool TestVm::turn(const Deadline& deadline) {
  if (engine_->run_slice()) return true;
  if (const auto idle = engine_->idle_until(); idle && *idle != kNever) {
    engine_->advance_to(*idle);
    return true;
  }
  if (engine_->event_fd() < 0) return false;
  pollfd entries[] = {{engine_->event_fd(), POLLIN, 0}, {spoken_.get(), POLLIN, 0}};
  const bool ready = ::poll(entries, std::size(entries), deadline.left()) > 0;
  eventfd_t count = 0;
  ::eventfd_read(spoken_.get(), &count);
  return ready;
}

std::optional<hypervisor::VcpuEvent> TestVm::next_event(const Deadline& deadline) {
  for (;;) {
    if (auto event = engine_->take_event()) return event;
    if (engine_->ended()) return std::nullopt;
    if (!turn(deadline) && !engine_->ended()) throw std::runtime_error("nothing happens any more");
    if (deadline.passed()) throw std::runtime_error("no event in time");
  }
}

void TestVm::run_until_said(std::string_view characters) {
  const auto all_said = [&] {
    return characters.find_first_not_of(said()) == std::string_view::npos;
  };
  for (const Deadline deadline; !all_said();) {
    if (deadline.passed()) throw std::runtime_error("the guest said only " + said());
    if (const auto event = engine_->take_event()) {
      if (!std::holds_alternative<exit::Started>(event->exit)) unexpected(event);
      engine_->resume(event->vcpu);
    } else if (!turn(deadline)) {
      if (engine_->ended()) unexpected(std::nullopt);
      throw std::runtime_error("the guest is idle and said only " + said());
    }
  }
}

void TestVm::step(std::uint32_t number) {
  must(vcpu(number).set_capability(hypervisor::Capability::MonitorTrap, true));
  resume(number);
  expect<exit::MonitorTrap>(number);
  must(vcpu(number).set_capability(hypervisor::Capability::MonitorTrap, false));
}

void TestVm::step_to(std::uint64_t address, std::uint32_t number) {
  for (int i = 0; rip(number) != address; ++i) {
    if (i == 20000) throw std::runtime_error("the guest does not come by");
    step(number);
  }
}

void TestVm::suspend_all() {
  for (std::uint32_t i = 0; i < engine_->vcpu_count(); ++i) {
    const bool was_in_guest = vcpu(i).in_guest();
    engine_->suspend({i});
    if (was_in_guest) expect<exit::Parked>(i);
  }
}

bool TestVm::runs_quietly(int slices) {
  constexpr int kMostThreaded = 50;  // milliseconds of an engine with threads
  for (int i = 0; i < slices; ++i) {
    if (engine_->take_event() || engine_->ended()) return false;
    if (engine_->run_slice() || engine_->event_fd() < 0) continue;
    if (i == kMostThreaded) break;
    pollfd entry{engine_->event_fd(), POLLIN, 0};
    ::poll(&entry, 1, 1);
  }
  return !engine_->take_event() && !engine_->ended();
}

bool TestVm::runs_until(const std::function<bool()>& condition) {
  for (const Deadline deadline; !condition();) {
    if (deadline.passed() || !runs_quietly(1)) return false;
  }
  return true;
}

std::uint64_t TestVm::read(x86::Register name, std::uint32_t number) {
  return must(vcpu(number).read_register(name)).as_u64();
}

void TestVm::write(x86::Register name, std::uint64_t value, std::uint32_t number) {
  must(vcpu(number).write_register(name, x86::RegisterValue::from_u64(value)));
}

std::string TestVm::memory(std::uint64_t address, std::size_t size, std::uint32_t number) {
  const auto bytes = must(hypervisor::read_virtual(*engine_, {number}, {address}, size));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::uint64_t TestVm::memory_u64(std::uint64_t address, std::uint32_t number) {
  const std::string bytes = memory(address, 8, number);
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::uint64_t TestVm::physical_u64(std::uint64_t address) {
  std::uint64_t value = 0;
  must(engine_->memory().read_ram({address}, std::as_writable_bytes(std::span(&value, 1))));
  return value;
}

std::string describe(const std::optional<hypervisor::VcpuEvent>& event) {
  if (!event) return "the end of the machine";
  static const char* const names[] = {
      "Parked", "Started", "Breakpoint", "MonitorTrap", "HardwareBreakpoint", "Watchpoint", "Dead"};
  return std::string(names[event->exit.index()]) + " of vCPU " + std::to_string(event->vcpu.value);
}

void TestVm::unexpected(const std::optional<hypervisor::VcpuEvent>& event) {
  std::string message = "unexpected: " + describe(event);
  if (event) {
    if (const auto* dead = std::get_if<exit::Dead>(&event->exit)) message += ": " + dead->reason;
  }
  if (engine_->ended()) message += ": " + engine_->ended()->reason;
  throw std::runtime_error(message);
}

}  // namespace ringside::testing
