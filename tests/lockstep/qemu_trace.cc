#include "lockstep/qemu_trace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

namespace ringside::testing {
namespace {

constexpr const char* kQemu = "qemu-system-x86_64";

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// The hexadecimal word at the start of `text`, which loses it; false if the first word is none.
bool take_number(std::string_view& text, std::uint64_t& value) {
  std::size_t at = text.find_first_not_of(' ');
  if (at == std::string_view::npos) return false;
  const std::size_t start = at;
  value = 0;
  while (at < text.size() && digit(text[at]) >= 0)
    value = value << 4 | static_cast<std::uint64_t>(digit(text[at++]));
  if (at == start || (at < text.size() && text[at] != ' ')) return false;
  text.remove_prefix(at);
  return true;
}

}  // namespace

QemuTrace::QemuTrace(const Machine& machine, const std::string& fifo) : fifo_(fifo) {
  if (::mkfifo(fifo.c_str(), 0600) != 0) throw std::runtime_error("cannot make " + fifo);
  trace_ = Fd(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const std::string size = std::to_string(machine.memory_size);
  process_ = std::make_unique<ChildProcess>(std::vector<std::string>{
      kQemu, "-machine", "pc,accel=tcg,memory-backend=ram", "-cpu", machine.cpu, "-m", size + "B",
      "-object",
      "memory-backend-file,id=ram,share=off,size=" + size + ",mem-path=" + machine.memory_file,
      "-bios", machine.firmware_file, "-nodefaults", "-display", "none", "-vga", "none",
      // One instruction a block, the registers before each, and no log of blocks between.
      "-singlestep", "-d", machine.floating_point ? "cpu,fpu,nochain" : "cpu,nochain", "-D", fifo});
}

QemuTrace::~QemuTrace() { ::unlink(fifo_.c_str()); }

bool QemuTrace::fill() {
  buffer_.erase(0, at_);
  at_ = 0;
  const Deadline deadline;
  for (;;) {
    std::array<char, 1 << 16> piece;
    const ssize_t count = ::read(trace_.get(), piece.data(), piece.size());
    if (count > 0) {
      buffer_.append(piece.data(), static_cast<std::size_t>(count));
      return true;
    }
    // An end before the other side has opened it is none.
    if (count == 0 && (begun_ || !process_->running())) return false;
    if (deadline.passed()) return false;
    pollfd entry{trace_.get(), POLLIN, 0};
    ::poll(&entry, 1, count == 0 ? 1 : deadline.left());
  }
}

bool QemuTrace::read_line(std::string_view& line) {
  for (std::size_t from = at_;;) {
    const std::size_t end = buffer_.find('\n', from);
    if (end != std::string::npos) {
      line = std::string_view(buffer_).substr(at_, end - at_);
      at_ = end + 1;
      return true;
    }
    const std::size_t searched = buffer_.size() - at_;
    if (!fill()) return false;
    from = searched;
  }
}

void QemuTrace::parse(std::string_view line, Fields& fields) {
  for (std::size_t equals = line.find('='); equals != std::string_view::npos;
       equals = line.find('=')) {
    std::string_view name = line.substr(0, equals);
    while (!name.empty() && name.back() == ' ')
      name.remove_suffix(1);
    name.remove_prefix(name.find_last_of(' ') + 1);
    line.remove_prefix(equals + 1);
    const auto row = row_by_name(name);
    std::array<std::uint64_t, 4> values{};
    std::size_t count = 0;
    std::uint64_t value = 0;
    while (count < values.size() && take_number(line, value))
      values[count++] = value;
    // From the top, and XMM is the lower half of YMM.
    if (name.starts_with("YMM")) values = {values[2], values[3], values[0], values[1]};
    if (row && count > 0) fields.rows[*row] = values;
  }
}

// The lines from one that begins with RAX or EAX to the next such line.
bool QemuTrace::read_record() {
  const auto begins = [](std::string_view line) {
    return line.substr(0, 4) == "RAX=" || line.substr(0, 4) == "EAX=";
  };
  record_ = next_line_.empty() ? "" : next_line_ + " ";
  std::string_view line;
  while (read_line(line)) {
    const bool first = begins(line);
    if (first) begun_ = true;
    if (first && !record_.empty()) {
      next_line_ = line;
      return true;
    }
    if (!first && record_.empty()) continue;
    record_.append(line).push_back(' ');
  }
  return false;
}

std::optional<Fields> QemuTrace::next(std::optional<std::uint64_t> repeating) {
  const std::string still = repeating ? fmt::format("IP={:016x} ", *repeating) : "";
  const std::string still_narrow = repeating ? fmt::format("IP={:08x} ", *repeating) : "";
  do {
    if (!read_record()) return std::nullopt;
  } while (repeating && (record_.find(still) != std::string::npos ||
                         record_.find(still_narrow) != std::string::npos));
  Fields fields;
  fields.wide = record_[0] == 'R';
  parse(record_, fields);
  return fields;
}

}  // namespace ringside::testing
