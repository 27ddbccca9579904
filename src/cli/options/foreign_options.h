// What somebody meant who typed an option as another program has it, or misspelt one of ours.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ringside::cli {

// Words of the command line that are QEMU's, each with what to type here, as one sentence; nothing
// where there is none. A word such as -smp is taken for QEMU's although it could be read as -s with
// the value "mp". -s and -S are reported only beside such words or after an error: -s is an option
// here too.
enum class Suspicion { None, AfterAnError };
std::optional<std::string> qemu_options(std::span<const std::string_view> words,
                                        Suspicion suspicion);

// The first word that begins with -- and is none of `names` (without the dashes), and what it is
// near to, as one sentence.
std::optional<std::string> unknown_option(std::span<const std::string_view> words,
                                          std::span<const std::string_view> names);

}  // namespace ringside::cli
