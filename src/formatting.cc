// fmt as a part of the program instead of a shared library. Debian's libfmt needs the shared C++
// library, and loading that one with its 2,000 symbols takes a tenth of the time until a guest
// runs. Everything else calls these functions as it would call the library's.
#define FMT_HEADER_ONLY
#include <fmt/format.h>

namespace {

// Inline functions exist for other sources only where something refers to them.
[[gnu::used]] const void* const needed_elsewhere[] = {
    reinterpret_cast<const void*>(
        static_cast<std::string (*)(fmt::string_view, fmt::format_args)>(&fmt::vformat)),
    reinterpret_cast<const void*>(static_cast<bool (*)(std::uint32_t)>(&fmt::detail::is_printable)),
    reinterpret_cast<const void*>(&fmt::detail::throw_format_error),
};

}  // namespace
