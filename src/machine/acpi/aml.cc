#include "machine/acpi/aml.h"

#include "base/little_endian.h"

namespace ringside::machine::aml {
namespace {

enum : unsigned {
  kNameOp = 0x08,
  kBytePrefix = 0x0a,
  kWordPrefix = 0x0b,
  kDwordPrefix = 0x0c,
  kTextPrefix = 0x0d,
  kQwordPrefix = 0x0e,
  kScopeOp = 0x10,
  kBufferOp = 0x11,
  kPackageOp = 0x12,
  kExtended = 0x5b,
  kDeviceOp = 0x82,
};

Term byte(std::uint64_t value) { return Term(1, static_cast<char>(value)); }

// PkgLength counts itself (20.2.4).
Term with_length(const Term& body) {
  std::uint64_t length = body.size() + 1;
  if (length < 0x40) return byte(length) + body;
  for (unsigned more = 1;; ++more) {
    length = body.size() + 1 + more;
    if (length < std::uint64_t{1} << (4 + 8 * more)) {
      return byte(more << 6 | (length & 0xf)) + little_endian(length >> 4, more) + body;
    }
  }
}

}  // namespace

Term integer(std::uint64_t value) {
  if (value <= 1) return byte(value);
  if (value <= 0xff) return byte(kBytePrefix) + byte(value);
  if (value <= 0xffff) return byte(kWordPrefix) + little_endian(value, 2);
  if (value <= 0xffffffff) return byte(kDwordPrefix) + little_endian(value, 4);
  return byte(kQwordPrefix) + little_endian(value, 8);
}

Term text(std::string_view value) { return byte(kTextPrefix) + Term(value) + byte(0); }

// Three letters of five bits, then four digits, big-endian.
Term eisa_id(std::string_view id) {
  std::uint32_t value = 0;
  for (char c : id.substr(0, 3))
    value = value << 5 | (static_cast<std::uint32_t>(c) - 0x40);
  for (char c : id.substr(3, 4)) {
    const auto digit = static_cast<std::uint32_t>(c <= '9' ? c - '0' : c - 'A' + 10);
    value = value << 4 | digit;
  }
  return byte(kDwordPrefix) + byte(value >> 24) + byte(value >> 16) + byte(value >> 8) +
         byte(value);
}

Term package(std::initializer_list<Term> elements) {
  return package(std::span(elements.begin(), elements.size()));
}

Term package(std::span<const Term> elements) {
  Term body = byte(elements.size());
  for (const Term& element : elements)
    body += element;
  return byte(kPackageOp) + with_length(body);
}

Term buffer(std::string_view bytes) {
  return byte(kBufferOp) + with_length(integer(bytes.size()) + Term(bytes));
}

Term name(std::string_view name, const Term& value) { return byte(kNameOp) + Term(name) + value; }

Term scope(std::string_view name, const Term& body) {
  return byte(kScopeOp) + with_length(Term(name) + body);
}

Term device(std::string_view name, const Term& body) {
  return byte(kExtended) + byte(kDeviceOp) + with_length(Term(name) + body);
}

Term io_ports(std::uint16_t first, std::uint8_t count) {
  return byte(0x47) + byte(1) + little_endian(first, 2) + little_endian(first, 2) + byte(1) +
         byte(count);
}

Term isa_interrupt(unsigned line) { return byte(0x22) + little_endian(1u << line, 2); }

Term memory32(std::uint32_t base, std::uint32_t size) {
  return byte(0x86) + little_endian(9, 2) + byte(1) + little_endian(base, 4) +
         little_endian(size, 4);
}

// Consumer, level, active high, exclusive (6.4.3.6).
Term level_interrupt(std::uint32_t global_line) {
  return byte(0x89) + little_endian(6, 2) + byte(0x01) + byte(1) + little_endian(global_line, 4);
}

namespace {

// An address space of a bridge, fixed at both ends (6.4.3.5.2 and 6.4.3.5.3); `size` is that of its
// numbers.
Term window(unsigned tag, unsigned kind, unsigned flags, std::uint64_t first, std::uint64_t last,
            unsigned size) {
  constexpr unsigned kFixed = 0x0c;
  const Term numbers = little_endian(0, size) + little_endian(first, size) +
                       little_endian(last, size) + little_endian(0, size) +
                       little_endian(last - first + 1, size);
  return byte(tag) + little_endian(3 + numbers.size(), 2) + byte(kind) + byte(kFixed) +
         byte(flags) + numbers;
}

}  // namespace

Term bus_numbers(std::uint16_t first, std::uint16_t last) {
  return window(0x88, 2, 0, first, last, 2);
}

Term port_window(std::uint16_t first, std::uint16_t last) {
  constexpr unsigned kWholeRange = 3;
  return window(0x88, 1, kWholeRange, first, last, 2);
}

Term memory_window(std::uint32_t first, std::uint32_t last) {
  constexpr unsigned kWritable = 1;
  return window(0x87, 0, kWritable, first, last, 4);
}

Term resources(const Term& descriptors) { return buffer(descriptors + byte(0x79) + byte(0)); }

}  // namespace ringside::machine::aml
