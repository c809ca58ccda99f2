-- What a facility class, ward class and tariff region add to the price of any INA-CBG, as a difference of logarithms.
-- Grain: one row per service type, facility class, ward class and tariff region.
-- Tariffs are tables of INA-CBG x class x ward x region, nearly multiplicative (Permenkes 3/2023): two rounds of
-- Tukey's median polish (Exploratory Data Analysis, 1977, ch. 11) find the factors, whatever a few inflated bills say.
CREATE OR REPLACE TABLE price_levels AS
WITH first_codes AS (
    SELECT
        inacbg_code,
        median(ln_price) AS ln_level
    FROM care
    GROUP BY inacbg_code
),

first_places AS (
    SELECT
        care.service_type,
        care.facility_class,
        care.ward_class,
        care.tariff_region,
        median(care.ln_price - first_codes.ln_level) AS ln_effect
    FROM care
    INNER JOIN first_codes ON care.inacbg_code = first_codes.inacbg_code
    GROUP BY ALL
),

second_codes AS (
    SELECT
        care.inacbg_code,
        median(care.ln_price - first_places.ln_effect) AS ln_level
    FROM care
    INNER JOIN first_places
        ON
            care.service_type = first_places.service_type
            AND care.facility_class = first_places.facility_class
            AND care.ward_class IS NOT DISTINCT FROM first_places.ward_class
            AND care.tariff_region IS NOT DISTINCT FROM first_places.tariff_region
    GROUP BY care.inacbg_code
)

SELECT
    care.service_type,
    care.facility_class,
    care.ward_class,
    care.tariff_region,
    median(care.ln_price - second_codes.ln_level) AS ln_effect
FROM care
INNER JOIN second_codes ON care.inacbg_code = second_codes.inacbg_code
GROUP BY ALL
