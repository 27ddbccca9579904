// Messages of 9P2000.L for tests, with an encoding of their own: requests that are put together,
// and answers that are taken apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "share/messages.h"

namespace ringside::share::testing {

using Bytes = std::vector<std::byte>;

class Request {
 public:
  explicit Request(MessageType type, std::uint16_t tag = 1)
      : Request(static_cast<std::uint8_t>(type), tag) {}
  explicit Request(std::uint8_t type, std::uint16_t tag) { u32(0).u8(type).u16(tag); }

  Request& u8(std::uint8_t value) { return number(value, 1); }
  Request& u16(std::uint16_t value) { return number(value, 2); }
  Request& u32(std::uint32_t value) { return number(value, 4); }
  Request& u64(std::uint64_t value) { return number(value, 8); }
  Request& raw(std::string_view text) {
    for (const char c : text)
      bytes_.push_back(static_cast<std::byte>(c));
    return *this;
  }
  Request& string(std::string_view text) {
    return u16(static_cast<std::uint16_t>(text.size())).raw(text);
  }
  Request& data(std::string_view text) {
    return u32(static_cast<std::uint32_t>(text.size())).raw(text);
  }
  // With the size that it has.
  Bytes bytes() const { return bytes(static_cast<std::uint32_t>(bytes_.size())); }
  Bytes bytes(std::uint32_t size) const {
    Bytes all = bytes_;
    for (unsigned i = 0; i < 4; ++i)
      all[i] = static_cast<std::byte>(size >> (8 * i));
    return all;
  }

 private:
  Request& number(std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i)
      bytes_.push_back(static_cast<std::byte>(value >> (8 * i)));
    return *this;
  }
  Bytes bytes_;
};

struct SeenQid {
  std::uint8_t type = 0;
  std::uint32_t version = 0;
  std::uint64_t path = 0;
  bool operator==(const SeenQid&) const = default;
};

class Answer {
 public:
  explicit Answer(Bytes bytes) : bytes_(std::move(bytes)) {
    size_ = u32();
    type_ = u8();
    tag_ = u16();
    if (type_ == 7) error_ = static_cast<int>(u32());
  }

  std::uint32_t size() const { return size_; }
  std::uint8_t type() const { return type_; }
  std::uint16_t tag() const { return tag_; }
  int error() const { return error_; }  // 0: none
  std::size_t left() const { return bytes_.size() - at_; }

  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  std::string text(std::size_t size) {
    std::string all;
    for (; size != 0 && at_ < bytes_.size(); --size)
      all += static_cast<char>(bytes_[at_++]);
    return all;
  }
  std::string string() { return text(u16()); }
  std::string data() { return text(u32()); }
  SeenQid qid() {
    SeenQid qid;
    qid.type = u8();
    qid.version = u32();
    qid.path = u64();
    return qid;
  }

 private:
  std::uint64_t number(unsigned size) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size && at_ < bytes_.size(); ++i)
      value |= std::to_integer<std::uint64_t>(bytes_[at_++]) << (8 * i);
    return value;
  }
  Bytes bytes_;
  std::size_t at_ = 0;
  std::uint32_t size_ = 0;
  std::uint8_t type_ = 0;
  std::uint16_t tag_ = 0;
  int error_ = 0;
};

}  // namespace ringside::share::testing
