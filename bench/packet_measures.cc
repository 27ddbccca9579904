// Raw packets: what the stub does without a debugger's own slowness.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "clock.h"
#include "measure.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::DebugClient;
using testing::hex_number;

constexpr std::uint64_t kBlock = 1 << 20;  // of mix.S

// As large as the server says, as GDB does it.
std::uint64_t packet_size(DebugClient& client) {
  const std::string features = client.request("qSupported");
  return std::stoull(features.substr(features.find("PacketSize=") + 11), nullptr, 16);
}

Values registers(Subject subject, double seconds) {
  Target target = start(subject, {"mix"});
  return {rate(seconds, [&] { target.client->request("g"); })};
}

Values steps(Subject subject, double seconds) {
  Target target = start(subject, {"mix"});
  return {rate(seconds, [&] { target.client->request("s"); })};
}

Values hex_reads(Subject subject, double seconds) {
  Target target = start(subject, {"mix"});
  const std::uint64_t size =
      std::min<std::uint64_t>((packet_size(*target.client) - 8) / 2, 1 << 18);
  std::uint64_t offset = 0;
  const double packets = rate(seconds, [&] {
    target.client->request("m" + hex_number(target["block"] + offset) + "," + hex_number(size));
    offset = (offset + size) % (kBlock - size);
  });
  return {packets * static_cast<double>(size) / 1e6};
}

// A client that does nothing with what it gets. The test's own, which checks every byte, would be
// what is measured.
class FastReader {
 public:
  explicit FastReader(DebugClient& client) : client_(client), buffer_(8u << 20, '\0') {}

  void send(const std::string& request) { client_.send_bytes(DebugClient::frame(request)); }
  // The next reply's length on the wire. A '#' ends it, because one in the data is escaped.
  std::size_t receive() {
    for (;;) {
      const std::size_t end = std::string_view(buffer_).substr(0, size_).find('#', searched_);
      if (end != std::string_view::npos && size_ >= end + 3) {
        std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(end + 3),
                  buffer_.begin() + static_cast<std::ptrdiff_t>(size_), buffer_.begin());
        size_ -= end + 3;
        searched_ = 0;
        return end;
      }
      searched_ = std::min(end, size_);
      const ssize_t n =
          ::recv(client_.descriptor(), buffer_.data() + size_, buffer_.size() - size_, 0);
      if (n <= 0) throw std::runtime_error("the server closed the connection, or sends too much");
      size_ += static_cast<std::size_t>(n);
    }
  }

 private:
  DebugClient& client_;
  std::string buffer_;
  std::size_t size_ = 0, searched_ = 0;
};

// Bytes without pattern, so that no run length shortens them and escapes are as many as can be
// expected.
std::string noise(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint64_t state = 1;
  for (char& c : bytes) {
    state = state * 6364136223846793005 + 1442695040888963407;
    c = static_cast<char>(state >> 56);
  }
  return bytes;
}

// `x` of ringside; QEMU 7.2 has none, so its best is `m`. One request is always under way, and
// nobody acknowledges.
Values binary_reads(Subject subject, double seconds) {
  Target target = start(subject, {"mix"});
  DebugClient& client = *target.client;
  const std::string bytes = noise(kBlock);
  for (std::uint64_t at = 0; at < kBlock; at += 1024)
    client.write(target["block"] + at, bytes.substr(at, 1024));
  const bool binary = subject == Subject::Ringside;
  // Every byte may need an escape.
  const std::uint64_t size = std::min((packet_size(client) - 8) / 2, kBlock);
  stop_acknowledging(client);
  const std::string request =
      (binary ? "x" : "m") + hex_number(target["block"]) + "," + hex_number(size);
  const std::string first = client.request(request);
  const std::string expected = bytes.substr(0, size);
  if (first != (binary ? "b" + expected : testing::hex(expected)))
    throw std::runtime_error("the wrong bytes");
  FastReader reader(client);
  reader.send(request);
  const double packets = rate(seconds, [&] {
    reader.send(request);
    reader.receive();
  });
  return {packets * static_cast<double>(size) / 1e6};
}

double percentile(std::vector<double> values, unsigned percent) {
  std::sort(values.begin(), values.end());
  return values[values.size() * percent / 100];
}

// p50 and p99, and p99 without what ringside and this client waited for a processor. (QEMU's many
// threads wait at the same time, so theirs cannot be taken off.)
Values stops(Subject subject, const GuestChoice& choice, int count) {
  Target target = start(subject, choice);
  const auto queued = [&] {
    return time_in_queue(target.process->pid()) + time_in_queue(::getpid());
  };
  std::vector<double> times, own_times;
  for (int i = 0; i < count; ++i) {
    target.client->resume();
    let_run(0.002);
    const double before = queued();
    const auto start = Clock::now();
    target.client->stop();
    const double time = since(start);
    times.push_back(time * 1e6);
    own_times.push_back(std::max(0.0, time - (queued() - before)) * 1e6);
  }
  Values values = {percentile(times, 50), percentile(times, 99), std::nullopt};
  if (subject == Subject::Ringside) values[2] = percentile(own_times, 99);
  return values;
}

}  // namespace

std::vector<Measure> packet_measures() {
  return {
      {"registers", "raw `g`", {{"`g` packets", "/s", Better::Higher, {}}}, registers},
      {"steps", "raw `s`", {{"steps", "/s", Better::Higher, {5, {}, {}}}}, steps},
      {"m", "raw `m`", {{"`m` reads", "MB/s", Better::Higher, {10, {}, {}}}}, hex_reads},
      {"x",
       "raw `x`, against QEMU's `m`",
       {{"`x` reads", "MB/s", Better::Higher, {0, 500, {}}}},
       binary_reads},
      {"stop",
       "from the interrupt to the stop reply, 1 busy vCPU",
       {{"stop latency, p50", "us", Better::Lower, {1, {}, {}}},
        {"stop latency, p99", "us", Better::Lower, {}},
        {"stop latency, p99, without waiting for a processor", "us", Better::Lower, {}}},
       [](Subject subject, double) { return stops(subject, {"mix"}, 200); }},
      {"stop-16",
       "the same with 16 busy vCPUs",
       {{"stop latency of 16 vCPUs, p50", "us", Better::Lower, {}},
        {"stop latency of 16 vCPUs, p99", "us", Better::Lower, {0, {}, 2000}},
        {"the same without waiting for a processor", "us", Better::Lower, {}}},
       [](Subject subject, double) {
         return stops(subject, {"counters", 16, "64M", "0123456789:;<=>?"}, 300);
       }},
  };
}

}  // namespace ringside::bench
