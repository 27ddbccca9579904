// Builds ACPI machine language (ACPI specification 5.0, chapter 20) and resource descriptors (6.4).
// Each function gives the encoding of one term; terms are put together by concatenation.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace ringside::machine::aml {

// Encoded bytes.
using Term = std::string;

Term integer(std::uint64_t value);
Term text(std::string_view value);
// "PNP0501" as the compressed integer of EISA.
Term eisa_id(std::string_view id);
Term package(std::span<const Term> elements);
Term package(std::initializer_list<Term> elements);
Term buffer(std::string_view bytes);
// `name` is four characters, with a leading backslash when from the root.
Term name(std::string_view name, const Term& value);
Term scope(std::string_view name, const Term& body);
Term device(std::string_view name, const Term& body);

// Resource descriptors, and the template that ends and wraps them.
Term io_ports(std::uint16_t first, std::uint8_t count);
Term isa_interrupt(unsigned line);
Term memory32(std::uint32_t base, std::uint32_t size);
Term level_interrupt(std::uint32_t global_line);
// What a bridge hands on to the devices behind it: from `first` to `last`.
Term bus_numbers(std::uint16_t first, std::uint16_t last);
Term port_window(std::uint16_t first, std::uint16_t last);
Term memory_window(std::uint32_t first, std::uint32_t last);
Term resources(const Term& descriptors);

}  // namespace ringside::machine::aml
