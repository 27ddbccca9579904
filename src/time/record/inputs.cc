#include "time/record/inputs.h"

#include <fmt/format.h>

#include <cstring>
#include <istream>

#include "base/hex.h"
#include "time/record/cpu_state_fields.h"
#include "x86/register_table.h"

namespace ringside::time {
namespace {

using machine::GuestGdbConnection, machine::GuestGdbInput, machine::SerialInput;
namespace change = hypervisor::change;
using Until = machine::DiskFailure::Until;

std::string hex_or_dash(std::span<const std::byte> bytes) {
  return bytes.empty() ? "-" : to_hex(bytes);
}

struct Writer {
  std::string operator()(const SerialInput& input) const {
    return fmt::format("serial{} {}", input.port, hex_or_dash(input.bytes));
  }
  std::string operator()(const GuestGdbInput& input) const {
    return "guest-gdb " + hex_or_dash(input.bytes);
  }
  std::string operator()(const GuestGdbConnection& input) const {
    return input.connected ? "guest-gdb-up" : "guest-gdb-down";
  }
  std::string operator()(const machine::NetworkInput& input) const {
    return "network " + hex_or_dash(input.bytes);
  }
  std::string operator()(const machine::ShareInput& input) const {
    return fmt::format("share {} {}", input.share, hex_or_dash(input.bytes));
  }
  std::string operator()(const machine::ConsoleInput& input) const {
    return "console " + hex_or_dash(input.bytes);
  }
  std::string operator()(const machine::KeyInput& input) const {
    return "keys " + hex_or_dash(input.bytes);
  }
  std::string operator()(const machine::VsockInput& input) const {
    return "vsock " + hex_or_dash(input.bytes);
  }
  std::string operator()(const machine::RandomInput& input) const {
    return "random " + hex_or_dash(input.bytes);
  }
  std::string operator()(const machine::DiskFailure& input) const {
    if (input.until == Until::End)
      return fmt::format("disk-gone {} {}", input.disk, input.transfer);
    return fmt::format("disk-failure {} {} {}", input.disk, input.transfer, input.written);
  }
  std::string operator()(const NonMaskableInterrupt& input) const {
    return fmt::format("nmi {}", input.vcpu.value);
  }
  std::string operator()(const PowerButton&) const { return "power-button"; }
  std::string operator()(const MachineReset&) const { return "reset"; }
  std::string operator()(const hypervisor::Supervision& input) const {
    return fmt::format("supervision held {:x} masked {:x} deaths {}", input.held, input.masked,
                       input.survives ? "survived" : "final");
  }
  std::string operator()(const change::RegisterWrite& input) const {
    return fmt::format("register {} {} {}", input.vcpu.value, x86::info(input.which).name,
                       to_hex(std::as_bytes(std::span(input.value.bytes))));
  }
  std::string operator()(const change::StateWrite& input) const {
    return fmt::format("state {} {}", input.vcpu.value, to_hex(bytes_of(input.state)));
  }
  std::string operator()(const change::MsrWrite& input) const {
    return fmt::format("msr {} {:x} {:x}", input.vcpu.value, input.number, input.value);
  }
  std::string operator()(const change::MemoryWrite& input) const {
    return fmt::format("memory {:x} {}", input.address.value, hex_or_dash(input.bytes));
  }
  std::string operator()(const change::DeviceWrite& input) const {
    return fmt::format("device {} {:x} {} {:x}", input.vcpu.value, input.address.value, input.width,
                       input.value);
  }
  std::string operator()(const change::InjectedException& input) const {
    const x86::Exception& exception = input.exception;
    const std::string error =
        exception.error_code ? fmt::format("{:x}", *exception.error_code) : "-";
    return fmt::format("exception {} {} {} {:x}", input.vcpu.value,
                       static_cast<unsigned>(exception.vector), error, exception.fault_address);
  }
  std::string operator()(const change::InsnLength& input) const {
    return fmt::format("insn-length {} {}", input.vcpu.value, input.length);
  }
};

// Takes words one by one; the first that is wrong makes everything wrong.
class Words {
 public:
  Words(std::istream& stream, unsigned vcpus) : stream_(stream), vcpus_(vcpus) {}

  std::string word() {
    std::string text;
    if (!(stream_ >> text)) good_ = false;
    return text;
  }
  void expect(std::string_view wanted) { good_ &= word() == wanted; }
  std::uint64_t hex(std::uint64_t most = ~std::uint64_t{0}) {
    const auto value = parse_hex(word());
    good_ &= value && *value <= most;
    return value.value_or(0);
  }
  std::uint64_t decimal(std::uint64_t most) {
    const std::string text = word();
    std::uint64_t value = 0;
    for (const char c : text) {
      good_ &= c >= '0' && c <= '9' && value <= most;
      value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    good_ &= value <= most;
    return good_ ? value : 0;
  }
  std::vector<std::byte> bytes() {
    const std::string text = word();
    if (text == "-") return {};
    auto bytes = from_hex(text);
    good_ &= bytes.has_value();
    return bytes.value_or(std::vector<std::byte>());
  }
  VcpuId vcpu() { return {static_cast<std::uint32_t>(decimal(vcpus_ - 1))}; }
  std::uint64_t vcpu_set() {
    return hex(vcpus_ < 64 ? (std::uint64_t{1} << vcpus_) - 1 : ~std::uint64_t{0});
  }
  void require(bool what) { good_ &= what; }
  // Nothing was wrong, and nothing is left.
  bool over() {
    std::string rest;
    return good_ && !(stream_ >> rest);
  }

 private:
  std::istream& stream_;
  const unsigned vcpus_;
  bool good_ = true;
};

hypervisor::Supervision take_supervision(Words& words) {
  hypervisor::Supervision supervision;
  words.expect("held");
  supervision.held = words.vcpu_set();
  words.expect("masked");
  supervision.masked = words.vcpu_set();
  words.expect("deaths");
  const std::string deaths = words.word();
  words.require(deaths == "survived" || deaths == "final");
  supervision.survives = deaths == "survived";
  return supervision;
}

change::RegisterWrite take_register(Words& words) {
  change::RegisterWrite write;
  write.vcpu = words.vcpu();
  const auto which = x86::register_by_name(words.word());
  const std::vector<std::byte> bytes = words.bytes();
  words.require(which && bytes.size() == write.value.bytes.size());
  if (!which || bytes.size() != write.value.bytes.size()) return write;
  write.which = *which;
  std::memcpy(write.value.bytes.data(), bytes.data(), bytes.size());
  return write;
}

change::StateWrite take_state(Words& words) {
  change::StateWrite write;
  write.vcpu = words.vcpu();
  const auto state = cpu_state_of(words.bytes());
  words.require(state.has_value());
  if (state) write.state = *state;
  return write;
}

change::MemoryWrite take_memory(Words& words) {
  change::MemoryWrite write{Gpa{words.hex()}, words.bytes()};
  const std::uint64_t room = kPageSize - write.address.value % kPageSize;
  words.require(!write.bytes.empty() && write.bytes.size() <= room);
  return write;
}

change::DeviceWrite take_device(Words& words) {
  change::DeviceWrite write;
  write.vcpu = words.vcpu();
  write.address = {words.hex()};
  write.width = static_cast<unsigned>(words.decimal(4));
  write.value = static_cast<std::uint32_t>(words.hex(0xffffffff));
  words.require((write.width == 1 || write.width == 2 || write.width == 4) &&
                write.address.value % write.width == 0);
  return write;
}

change::InjectedException take_exception(Words& words) {
  change::InjectedException write;
  write.vcpu = words.vcpu();
  write.exception.vector = static_cast<x86::Vector>(words.decimal(31));
  const std::string error = words.word();
  if (error != "-") {
    const auto code = parse_hex(error);
    words.require(code && *code <= 0xffff);
    write.exception.error_code = static_cast<std::uint32_t>(code.value_or(0));
  }
  write.exception.fault_address = words.hex();
  return write;
}

machine::DiskFailure take_disk_failure(Words& words, Until until) {
  const auto disk = static_cast<unsigned>(words.decimal(machine::kMaxVirtioDevices - 1));
  const std::uint64_t transfer = words.decimal(~std::uint64_t{0} / 16);
  return {disk, transfer, until, until == Until::Next ? words.decimal(0xffffffff) : 0};
}

std::optional<Input> take(Words& words) {
  const std::string kind = words.word();
  if (kind == "serial0") return SerialInput{0, words.bytes()};
  if (kind == "serial1") return SerialInput{1, words.bytes()};
  if (kind == "guest-gdb") return GuestGdbInput{words.bytes()};
  if (kind == "guest-gdb-up") return GuestGdbConnection{true};
  if (kind == "guest-gdb-down") return GuestGdbConnection{false};
  if (kind == "network") return machine::NetworkInput{words.bytes()};
  if (kind == "share") {
    const auto share = static_cast<unsigned>(words.decimal(machine::kMaxVirtioDevices - 1));
    return machine::ShareInput{share, words.bytes()};
  }
  if (kind == "console") return machine::ConsoleInput{words.bytes()};
  if (kind == "keys") return machine::KeyInput{words.bytes()};
  if (kind == "vsock") return machine::VsockInput{words.bytes()};
  if (kind == "random") return machine::RandomInput{words.bytes()};
  if (kind == "disk-failure") return take_disk_failure(words, Until::Next);
  if (kind == "disk-gone") return take_disk_failure(words, Until::End);
  if (kind == "nmi") return NonMaskableInterrupt{words.vcpu()};
  if (kind == "power-button") return PowerButton{};
  if (kind == "reset") return MachineReset{};
  if (kind == "supervision") return take_supervision(words);
  if (kind == "register") return take_register(words);
  if (kind == "state") return take_state(words);
  if (kind == "msr") {
    const VcpuId vcpu = words.vcpu();
    const auto number = static_cast<std::uint32_t>(words.hex(0xffffffff));
    return change::MsrWrite{vcpu, number, words.hex()};
  }
  if (kind == "memory") return take_memory(words);
  if (kind == "device") return take_device(words);
  if (kind == "exception") return take_exception(words);
  if (kind == "insn-length") {
    const VcpuId vcpu = words.vcpu();
    return change::InsnLength{vcpu, static_cast<std::uint8_t>(words.decimal(15))};
  }
  return std::nullopt;
}

}  // namespace

std::string to_words(const Input& input) { return std::visit(Writer{}, input); }

std::optional<Input> input_of_words(std::istream& stream, unsigned vcpus) {
  Words words(stream, vcpus);
  std::optional<Input> input = take(words);
  if (!words.over()) return std::nullopt;
  return input;
}

}  // namespace ringside::time
