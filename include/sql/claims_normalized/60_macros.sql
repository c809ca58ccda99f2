-- A claim's own tariff, NULL where it is a slip of the pen or there is none: less than a twentieth of what the peers
-- bring, where they are of that INA-CBG (price_level 1 and 2, 42_price_peers.sql); else less than 10,000 rupiah, a
-- seventh of the lowest real claim. For 60_own_prices.sql, which takes off what 60_evidence.sql measures.
CREATE OR REPLACE MACRO written_tariff(inacbg_tariff, price_level, ln_middle) AS
if(inacbg_tariff < if(price_level <= 2, 0.05 * exp(ln_middle), 10000), NULL, inacbg_tariff);
