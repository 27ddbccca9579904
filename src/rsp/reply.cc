#include "rsp/reply.h"

#include <algorithm>

#include "base/hex.h"

namespace ringside::rsp {
namespace {

// The shortest hex number; the manual's form for numbers that are not ids.
void append_number(std::string& out, std::uint64_t number) {
  static constexpr char kDigits[] = "0123456789abcdef";
  int shift = 60;
  while (shift > 0 && number >> shift == 0)
    shift -= 4;
  for (; shift >= 0; shift -= 4)
    out += kDigits[number >> shift & 15];
}

void append_byte(std::string& out, std::uint8_t value) {
  const std::byte byte{value};
  append_hex(out, std::span(&byte, 1));
}

std::string end(std::string text, std::uint8_t value, std::optional<std::uint64_t> process) {
  append_byte(text, value);
  if (process) {
    text += ";process:";
    append_number(text, *process);
  }
  return text;
}

}  // namespace

ErrorNumber error_number(ErrorCode code) {
  switch (code) {
    case ErrorCode::BadAddress:
      return ErrorNumber::BadAddress;
    case ErrorCode::NotSupported:
      return ErrorNumber::NotSupported;
    case ErrorCode::NotFound:
      return ErrorNumber::NoSuchObject;
    case ErrorCode::BadRequest:
    case ErrorCode::Busy:
    case ErrorCode::System:
      break;
  }
  return ErrorNumber::BadRequest;
}

namespace reply {

std::string ok() { return "OK"; }

std::string empty() { return {}; }

std::string error(ErrorNumber number) {
  std::string text = "E";
  append_byte(text, static_cast<std::uint8_t>(number));
  return text;
}

std::string error(const Error& error, ErrorStyle style) {
  const std::string number = reply::error(error_number(error.code()));
  if (style == ErrorStyle::Number) return number;
  if (style == ErrorStyle::Both) return number + ';' + to_hex(error.text());
  std::string text = "E." + error.text();
  // GDB does not unescape this reply, so framing's escapes must find nothing to do.
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return c == '#' || c == '$' || c == '}' || c == '*' || c < ' ' || c > '~'; },
      '_');
  return text;
}

std::string hex(std::span<const std::byte> data) { return to_hex(data); }

std::string hex(std::string_view text) { return to_hex(text); }

std::string binary(std::span<const std::byte> data) {
  std::string text;
  text.reserve(data.size() + 1);
  text += 'b';
  text.append(reinterpret_cast<const char*>(data.data()), data.size());
  return text;
}

std::string console_output(std::string_view text) {
  std::string payload = "O";
  append_hex(payload, std::as_bytes(std::span(text)));
  return payload;
}

std::string exited(std::uint8_t status, std::optional<std::uint64_t> process) {
  return end("W", status, process);
}

std::string killed(std::uint8_t signal, std::optional<std::uint64_t> process) {
  return end("X", signal, process);
}

std::string transfer(std::string_view document, std::uint64_t offset, std::uint64_t length) {
  if (offset >= document.size()) return "l";
  const std::uint64_t left = document.size() - offset;
  std::string payload(1, length < left ? 'm' : 'l');
  payload += document.substr(offset, std::min(length, left));
  return payload;
}

}  // namespace reply

StopReply::StopReply(std::uint8_t signal) : text_("T") { append_byte(text_, signal); }

StopReply& StopReply::thread(std::optional<std::uint64_t> process, std::uint64_t number) {
  text_ += "thread:";
  append_thread_id(text_, process, number);
  text_ += ';';
  return *this;
}

StopReply& StopReply::core(std::uint64_t number) {
  text_ += "core:";
  append_number(text_, number);
  text_ += ';';
  return *this;
}

StopReply& StopReply::register_value(std::uint64_t number, std::span<const std::byte> value) {
  append_number(text_, number);
  text_ += ':';
  append_hex(text_, value);
  text_ += ';';
  return *this;
}

StopReply& StopReply::pair(std::string_view key, std::string_view value) {
  text_ += key;
  text_ += ':';
  text_ += value;
  text_ += ';';
  return *this;
}

StopReply& StopReply::address_pair(std::string_view key, Gva address) {
  text_ += key;
  text_ += ':';
  append_number(text_, address.value);
  text_ += ';';
  return *this;
}

}  // namespace ringside::rsp
