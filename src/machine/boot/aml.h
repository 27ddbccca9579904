// Builds ACPI machine language (ACPI specification 5.0, chapter 20) and resource descriptors (6.4).
// Each function gives the encoding of one term; terms are put together by concatenation.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace ringside::machine::aml {

// Encoded bytes.
using Term = std::string;

Term integer(std::uint64_t value);
Term text(std::string_view value);
// "PNP0501" as the compressed integer of EISA.
Term eisa_id(std::string_view id);
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
Term resources(const Term& descriptors);

}  // namespace ringside::machine::aml
