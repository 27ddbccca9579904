#include "support/debug_client.h"

#include <cstdio>
#include <stdexcept>

namespace ringside::testing {
namespace {

unsigned digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  throw std::runtime_error(std::string("not a lower-case hexadecimal digit: ") + c);
}

std::uint64_t from_little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

void expect_ok(const std::string& reply, const std::string& request) {
  if (reply != "OK") throw std::runtime_error(request + " got " + reply);
}

}  // namespace

std::string hex(std::string_view bytes) {
  std::string result;
  for (const char c : bytes) {
    char pair[3];
    std::snprintf(pair, sizeof pair, "%02x", static_cast<unsigned char>(c));
    result += pair;
  }
  return result;
}

std::string unhex(std::string_view digits) {
  if (digits.size() % 2 != 0) throw std::runtime_error("odd: " + std::string(digits));
  std::string result;
  for (std::size_t i = 0; i < digits.size(); i += 2)
    result += static_cast<char>(digit(digits[i]) << 4 | digit(digits[i + 1]));
  return result;
}

std::string hex_number(std::uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string little_endian(std::uint64_t value, unsigned size) {
  std::string result;
  for (unsigned i = 0; i < size; ++i)
    result += static_cast<char>(value >> (8 * i));
  return result;
}

std::optional<std::string> StopReply::field(std::string_view name) const {
  const std::string start = std::string(name) + ":";
  std::size_t at = 3;
  while (at < text.size()) {
    std::size_t end = text.find(';', at);
    if (end == std::string::npos) end = text.size();
    if (text.compare(at, start.size(), start) == 0)
      return text.substr(at + start.size(), end - at - start.size());
    at = end + 1;
  }
  return std::nullopt;
}

StopReply parse_stop(std::string_view text) {
  StopReply stop;
  stop.text = text;
  if (text.size() < 3 || (text[0] != 'S' && text[0] != 'T'))
    throw std::runtime_error("not a stop reply: " + stop.text);
  stop.signal = digit(text[1]) << 4 | digit(text[2]);
  if (const auto thread = stop.field("thread")) {
    const std::size_t dot = thread->find('.');  // p1.2 with multiprocess
    const std::string id = dot == std::string::npos ? *thread : thread->substr(dot + 1);
    stop.vcpu = static_cast<unsigned>(std::stoul(id, nullptr, 16) - 1);
  }
  stop.swbreak = stop.field("swbreak").has_value();
  return stop;
}

Registers DebugClient::registers() {
  const std::string bytes = unhex(request("g"));
  if (bytes.size() < 164) throw std::runtime_error("short g packet");
  Registers result;
  std::size_t at = 0;
  for (std::size_t i = 0; i < result.values.size(); ++i) {
    const std::size_t size = i <= kRip ? 8 : 4;
    result.values[i] = from_little_endian(std::string_view(bytes).substr(at, size));
    at += size;
  }
  return result;
}

void DebugClient::select(unsigned vcpu) {
  const std::string text = "Hg" + hex_number(vcpu + 1);
  expect_ok(request(text), text);
}

std::string DebugClient::read(std::uint64_t address, std::size_t size) {
  const std::string text = "m" + hex_number(address) + "," + hex_number(size);
  const std::string reply = request(text);
  if (!reply.empty() && reply[0] == 'E') throw std::runtime_error(text + " got " + reply);
  return unhex(reply);
}

std::uint64_t DebugClient::read_u64(std::uint64_t address) {
  const std::string bytes = read(address, 8);
  if (bytes.size() != 8) throw std::runtime_error("short read at " + hex_number(address));
  return from_little_endian(bytes);
}

void DebugClient::write(std::uint64_t address, std::string_view bytes) {
  const std::string text =
      "M" + hex_number(address) + "," + hex_number(bytes.size()) + ":" + hex(bytes);
  expect_ok(request(text), text);
}

void DebugClient::write_u8(std::uint64_t address, std::uint8_t value) {
  write(address, std::string(1, static_cast<char>(value)));
}

void DebugClient::insert(std::uint64_t address) {
  const std::string text = "Z0," + hex_number(address) + ",1";
  expect_ok(request(text), text);
}

void DebugClient::remove(std::uint64_t address) {
  const std::string text = "z0," + hex_number(address) + ",1";
  expect_ok(request(text), text);
}

StopReply DebugClient::await_stop(const Deadline& deadline) {
  return parse_stop(receive(deadline));
}

StopReply DebugClient::step() { return parse_stop(request("s")); }

StopReply DebugClient::stop() {
  interrupt();
  return await_stop();
}

StopReply DebugClient::resume_past(std::uint64_t address) {
  if (rip() == address) {
    remove(address);
    step();
    insert(address);
  }
  resume();
  return await_stop();
}

StopReply DebugClient::run_to(std::uint64_t address) {
  insert(address);
  resume();
  const StopReply stop = await_stop();
  remove(address);
  return stop;
}

std::vector<std::string> DebugClient::threads() {
  std::vector<std::string> result;
  for (std::string reply = request("qfThreadInfo"); reply != "l"; reply = request("qsThreadInfo")) {
    if (reply.size() < 2 || reply[0] != 'm')
      throw std::runtime_error("not a thread list: " + reply);
    std::size_t at = 1;
    while (at < reply.size()) {
      std::size_t end = reply.find(',', at);
      if (end == std::string::npos) end = reply.size();
      result.push_back(reply.substr(at, end - at));
      at = end + 1;
    }
  }
  return result;
}

void DebugClient::detach() {
  expect_ok(request("D"), "D");
  close();
}

std::string monitor(DebugClient& client, std::string_view command) {
  std::string text, reply = client.request("qRcmd," + hex(command));
  for (; reply != "OK" && reply.starts_with('O'); reply = client.receive())
    text += unhex(reply.substr(1));
  if (reply == "OK") return text;
  if (reply.front() == 'E') return reply;
  return text + unhex(reply);
}

}  // namespace ringside::testing
